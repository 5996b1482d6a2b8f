//! The generations there are: listed, gone back to, dropped.

use super::{LIMIT, build};
use crate::database::{Connection, DatabaseError, within};
use crate::value;
use domain::Timestamp;

/// A generation as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its number.
    pub generation: i32,
    /// The version of the folds that write it.
    pub fold_version: i32,
    /// What is done with it.
    pub stage: Stage,
    /// Whether it is the one that serves.
    pub serves: bool,
    /// The position of its last event; 0 before the first.
    pub position: u64,
    /// Who writes it now.
    pub owner: Option<String>,
    /// What its tables and indexes take on disk.
    pub bytes: u64,
    /// When it was made.
    pub made_at: Timestamp,
    /// Since when it serves, or did when it served last.
    pub served_from: Option<Timestamp>,
}

/// What is done with a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its maker fills it.
    Building,
    /// The maker died in the middle; the next rebuild drops it.
    Abandoned,
    /// The projector keeps it current.
    Kept,
    /// It stays as it is.
    Frozen,
}

/// Where serving went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WentBack {
    /// The generation that served.
    pub from: i32,
    /// The generation that serves now.
    pub to: i32,
    /// Where the one that served stood.
    pub from_position: u64,
    /// Where the one that serves now stands.
    pub to_position: u64,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// No such number.
    #[error("there is no generation {0}; `replay generations` lists them")]
    Unknown(i32),
    /// It serves.
    #[error(
        "generation {0} serves; only one that does not can be dropped, and serving can only go back to another"
    )]
    Serves(i32),
    /// It is being built.
    #[error("generation {0} is being built; stop that rebuild first")]
    Building(i32),
    /// It is not kept current, so that readers would see old data for ever.
    #[error(
        "generation {0} is not kept current, so it cannot serve; drop it or build another with `replay rebuild`"
    )]
    NotKept(i32),
    /// There is nothing to go back to.
    #[error("no other generation ever served that is still there; `replay generations` lists them")]
    NothingBefore,
    /// PostgreSQL failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl KeptError {
    /// Whether somebody else was in the way, so that the same may be done later.
    #[must_use]
    pub fn is_contention(&self) -> bool {
        matches!(self, Self::Database(error) if error.is_contention())
    }
}

const LISTED: &str = "
    SELECT p.generation, p.fold_version, p.stage, coalesce(p.generation = a.generation, false), p.position, p.owner,
        coalesce(p.lease_until >= clock_timestamp(), false), p.made_at, p.served_from,
        (SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::int8 FROM pg_class AS c
         JOIN pg_namespace AS n ON n.oid = c.relnamespace
         WHERE n.nspname = 'rm_' || p.generation AND c.relkind = 'r')
    FROM bookstock.projection AS p LEFT JOIN bookstock.active AS a ON true ORDER BY p.generation";

/// All generations, the oldest first.
///
/// # Errors
/// [`DatabaseError`].
pub async fn list(connection: &Connection) -> Result<Vec<Listed>, DatabaseError> {
    within(LIMIT, async {
        let rows = connection.client.query(LISTED, &[]).await?;
        rows.iter().map(listed).collect()
    })
    .await
}

fn listed(row: &tokio_postgres::Row) -> Result<Listed, DatabaseError> {
    let held: bool = row.try_get(6)?;
    let owner: Option<String> = row.try_get(5)?;
    let stage = match row.try_get(2)? {
        "building" if held => Stage::Building,
        "building" => Stage::Abandoned,
        "frozen" => Stage::Frozen,
        _ => Stage::Kept,
    };
    let served_from: Option<std::time::SystemTime> = row.try_get(8)?;
    Ok(Listed {
        generation: row.try_get(0)?,
        fold_version: row.try_get(1)?,
        stage,
        serves: row.try_get(3)?,
        position: value::read_u64(row, 4)?,
        owner: owner.filter(|_| held),
        bytes: value::read_u64(row, 9)?,
        made_at: value::read_moment(row, 7)?,
        served_from: served_from.map(|_| value::read_moment(row, 8)).transpose()?,
    })
}

/// Lets `to` serve again, or the one that served before if none is named, in one transaction.
///
/// # Errors
/// [`KeptError`].
pub async fn go_back(connection: &mut Connection, to: Option<i32>) -> Result<WentBack, KeptError> {
    within(LIMIT, async {
        let transaction = super::alone(connection).await?;
        let rows = transaction.query(LISTED, &[]).await?;
        let listed = rows.iter().map(listed).collect::<Result<Vec<_>, _>>()?;
        let (from, to) = match choose(&listed, to) {
            Ok(chosen) => chosen,
            Err(refused) => return Ok(Err(refused)),
        };
        super::serve(&transaction, to.generation).await?;
        transaction.commit().await?;
        Ok(Ok(WentBack {
            from: from.generation,
            to: to.generation,
            from_position: from.position,
            to_position: to.position,
        }))
    })
    .await?
}

fn choose(listed: &[Listed], to: Option<i32>) -> Result<(&Listed, &Listed), KeptError> {
    let from = listed.iter().find(|generation| generation.serves).ok_or(KeptError::NothingBefore)?;
    let to = match to {
        Some(number) => find(listed, number)?,
        None => listed
            .iter()
            .filter(|one| !one.serves && one.stage == Stage::Kept && one.served_from.is_some())
            .max_by_key(|one| one.served_from)
            .ok_or(KeptError::NothingBefore)?,
    };
    match to.stage {
        _ if to.serves => Err(KeptError::Serves(to.generation)),
        Stage::Kept => Ok((from, to)),
        Stage::Building => Err(KeptError::Building(to.generation)),
        Stage::Abandoned | Stage::Frozen => Err(KeptError::NotKept(to.generation)),
    }
}

fn find(listed: &[Listed], number: i32) -> Result<&Listed, KeptError> {
    listed.iter().find(|one| one.generation == number).ok_or(KeptError::Unknown(number))
}

/// Drops a generation that does not serve.
///
/// # Errors
/// [`KeptError`].
pub async fn drop_one(connection: &mut Connection, number: i32) -> Result<(), KeptError> {
    within(LIMIT, async {
        let transaction = super::alone(connection).await?;
        let rows = transaction.query(LISTED, &[]).await?;
        let listed = rows.iter().map(listed).collect::<Result<Vec<_>, _>>()?;
        match find(&listed, number) {
            Err(unknown) => return Ok(Err(unknown)),
            Ok(one) if one.serves => return Ok(Err(KeptError::Serves(number))),
            Ok(one) if one.stage == Stage::Building => return Ok(Err(KeptError::Building(number))),
            Ok(_) => {}
        }
        build::remove(&transaction, number).await?;
        transaction.commit().await?;
        Ok(Ok(()))
    })
    .await?
}

/// Drops a generation of which `lease` says that it is ours, if it is still being built; whether it was.
///
/// # Errors
/// [`DatabaseError`].
pub async fn give_up(
    connection: &mut Connection,
    lease: &crate::lease::Lease,
) -> Result<bool, DatabaseError> {
    within(LIMIT, async {
        let transaction = super::alone(connection).await?;
        let ours = transaction
            .query_opt(
                "SELECT FROM bookstock.projection WHERE generation = $1 AND epoch = $2 AND stage = 'building' FOR UPDATE",
                &[&lease.generation, &lease.epoch],
            )
            .await?;
        if ours.is_some() {
            build::remove(&transaction, lease.generation).await?;
        }
        transaction.commit().await?;
        Ok(ours.is_some())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(generation: i32, stage: Stage, serves: bool, served_from: Option<i64>) -> Listed {
        Listed {
            generation,
            fold_version: 1,
            stage,
            serves,
            position: 7,
            owner: None,
            bytes: 0,
            made_at: Timestamp::default(),
            served_from: served_from.map(|micros| Timestamp::from_unix_micros(micros).unwrap()),
        }
    }

    fn chosen(listed: &[Listed], to: Option<i32>) -> Result<(i32, i32), String> {
        let chosen = choose(listed, to).map_err(|refused| refused.to_string());
        chosen.map(|(from, to)| (from.generation, to.generation))
    }

    #[test]
    fn serving_goes_back_to_the_one_that_served_last() {
        let listed = [
            one(1, Stage::Kept, false, Some(10)),
            one(2, Stage::Kept, false, Some(20)),
            one(3, Stage::Kept, true, Some(30)),
            one(4, Stage::Frozen, false, None),
        ];
        assert_eq!(chosen(&listed, None), Ok((3, 2)));
        assert_eq!(chosen(&listed, Some(1)), Ok((3, 1)));
    }

    #[test]
    fn serving_never_goes_to_what_is_not_kept_current() {
        let listed = [
            one(1, Stage::Kept, true, Some(10)),
            one(2, Stage::Building, false, None),
            one(3, Stage::Frozen, false, None),
            one(4, Stage::Abandoned, false, None),
        ];
        assert!(chosen(&listed, None).unwrap_err().contains("no other generation"));
        assert!(chosen(&listed, Some(1)).unwrap_err().contains("serves"));
        assert!(chosen(&listed, Some(2)).unwrap_err().contains("being built"));
        assert!(chosen(&listed, Some(3)).unwrap_err().contains("not kept current"));
        assert!(chosen(&listed, Some(4)).unwrap_err().contains("not kept current"));
        assert!(chosen(&listed, Some(5)).unwrap_err().contains("no generation 5"));
    }
}
