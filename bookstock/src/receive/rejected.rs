//! The rows that the rules refused, in a file of their own: to be looked at, put right, and sent again.

use super::list::ReceivingList;
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The column that says why.
const REASON: &str = "reason";

/// Writes the refused rows (by index, with the reason) beside `file`, and tells where. If there are none in the whole
/// list, what an earlier run wrote there goes away: its rows are booked by now and must not be sent under other keys.
pub(super) fn write(
    file: &Path,
    list: &ReceivingList,
    refused: &BTreeMap<usize, String>,
    all_answered: bool,
) -> anyhow::Result<Option<PathBuf>> {
    let path = file.with_extension("rejected.csv");
    let doing = || format!("the refused rows cannot be written to {}", path.display());
    if refused.is_empty() && !all_answered {
        return Ok(None);
    }
    if refused.is_empty() {
        return match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error).with_context(doing),
            _ => Ok(None),
        };
    }
    let unfinished = path.with_added_extension("new");
    std::fs::write(&unfinished, text(list, refused)?).with_context(doing)?;
    std::fs::rename(&unfinished, &path).with_context(doing)?;
    Ok(Some(path))
}

/// The rows as the file had them, and why each was refused. A reason from an earlier run is replaced.
fn text(list: &ReceivingList, refused: &BTreeMap<usize, String>) -> anyhow::Result<Vec<u8>> {
    let kept: Vec<usize> = (0..list.header.len()).filter(|column| &list.header[*column] != REASON).collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(kept.iter().map(|column| &list.header[*column]).chain([REASON]))?;
    for (row, reason) in refused {
        let record = &list.rows[*row].record;
        writer.write_record(kept.iter().map(|column| &record[*column]).chain([reason.as_str()]))?;
    }
    Ok(writer.into_inner()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> ReceivingList {
        ReceivingList::parse("bookId,reason,name,qty\n1,old,\"a, b\",2\n3,old,,4\n".as_bytes()).unwrap()
    }

    #[test]
    fn refused_rows_are_kept_as_they_came_with_the_reason() {
        let directory = tempfile::tempdir().unwrap();
        let refused = BTreeMap::from([(0, "the current edition is 2.0, not 1.0".to_owned())]);
        let path = write(&directory.path().join("truck.csv"), &list(), &refused, true).unwrap().unwrap();
        assert_eq!(path.file_name().unwrap(), "truck.rejected.csv");
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "bookId,name,qty,reason\n1,\"a, b\",2,\"the current edition is 2.0, not 1.0\"\n"
        );
        assert!(ReceivingList::parse(&std::fs::read(&path).unwrap()).is_ok(), "it can be sent again");
    }

    #[test]
    fn when_nothing_is_refused_what_an_earlier_run_wrote_goes_away() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("truck.csv");
        let none = BTreeMap::new();
        let path = write(&file, &list(), &BTreeMap::from([(1, "no".to_owned())]), true).unwrap().unwrap();
        assert_eq!(write(&file, &list(), &none, false).unwrap(), None);
        assert!(path.exists(), "the rows that were not answered may be refused again");
        assert_eq!(write(&file, &list(), &none, true).unwrap(), None);
        assert!(!path.exists());
        assert_eq!(write(&file, &list(), &none, true).unwrap(), None);
    }
}
