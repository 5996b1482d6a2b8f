//! Whether a write-ahead log that was left behind still has all that was committed to it.
//!
//! SQLite ends a log at the first frame that does not go on from the frame before, and takes the rest for what a power failure
//! left of a transaction that nobody was told of. A frame that was damaged later ends the log just so: all commits behind
//! it would be gone without a word, and their positions given away again. So before SQLite opens a log, it is read here
//! (<https://sqlite.org/fileformat2.html#the_write_ahead_log>), and one is refused that ends too early:
//!
//! - before a frame that its index says was committed, which is how a killed process is found out; or
//! - before two more commits. Each commit is synced before the next transaction is written, so what a power failure left
//!   of the last one, in whatever order the disk wrote it, has at most one.

use super::ahead::log_of;
use super::{OpenError, beside};
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// The header of the log, and that of each frame in it, in bytes.
const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// The last bit of the log's first word says whether its checksums are made of words with the highest byte first.
const MAGIC: u32 = 0x377f_0682;

/// The index begins with two copies of its header (<https://sqlite.org/walformat.html>), so many bytes each.
const INDEX_HEADER: usize = 48;

/// Refuses the database if its write-ahead log is damaged. Nobody may have it open for writing.
pub(super) fn verify(database: &Path) -> Result<(), OpenError> {
    let path = log_of(database);
    let unusable = |source| OpenError::Directory { dir: path.clone(), source };
    let file = match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        opened => opened.map_err(unusable)?,
    };
    let log = BufReader::with_capacity(1 << 20, file);
    match damage(log, |salts| committed(database, salts)).map_err(unusable)? {
        None => Ok(()),
        Some(whole) => Err(OpenError::DamagedLog { log: path, whole }),
    }
}

/// How many bytes of a damaged log are whole. `committed` says how many frames of the log with these salts were committed.
fn damage(mut log: impl Read, committed: impl FnOnce([u32; 2]) -> u64) -> io::Result<Option<u64>> {
    let mut header = [0; HEADER];
    if !fill(&mut log, &mut header)? {
        return Ok(None);
    }
    let [magic, _, page, _, salt_1, salt_2, sum_1, sum_2] = words(&header);
    let (salts, mut sum) = ([salt_1, salt_2], [sum_1, sum_2]);
    let add = if magic & 1 == 1 { add::<true> } else { add::<false> };
    let page_bytes = usize::try_from(page).unwrap_or(usize::MAX);
    let sizes = 512..=65536;
    if magic & !1 != MAGIC || add([0, 0], &header[..24]) != sum || !sizes.contains(&page_bytes) {
        // It is on the disk before the first frame is written.
        return Ok(if fill(&mut log, &mut [0])? { Some(0) } else { None });
    }
    let mut frame = vec![0; FRAME_HEADER + page_bytes];
    // So many frames go on from the header, and so many commits were found behind those.
    let (mut whole, mut broken, mut commits) = (0, false, 0);
    while fill(&mut log, &mut frame)? {
        let [page, database_pages, salt_1, salt_2, sum_1, sum_2] = words(&frame);
        let goes_on = [salt_1, salt_2] == salts
            && page != 0
            && add(add(sum, &frame[..8]), &frame[FRAME_HEADER..]) == [sum_1, sum_2];
        let ends_transaction = database_pages != 0;
        broken |= !goes_on;
        whole += u64::from(!broken);
        commits += u64::from(broken && goes_on && ends_transaction);
        // Behind a broken frame, one is whole that goes on from what the one before says of itself.
        sum = [sum_1, sum_2];
    }
    let damaged = commits > 1 || whole < committed(salts);
    Ok(damaged.then(|| HEADER as u64 + whole * frame.len() as u64))
}

/// How many frames of the log with these salts its index has. They were synced before they came into the index; after
/// a power failure the index may have fewer than there are, or none.
fn committed(database: &Path, salts: [u32; 2]) -> u64 {
    let mut copies = [0; 2 * INDEX_HEADER];
    let read = File::open(beside(database, "-shm")).and_then(|index| index.read_exact_at(&mut copies, 0));
    if read.is_err() {
        return 0;
    }
    // All but the salts is in the byte order of the machine. One copy may be half written.
    let native = |word: u32| u32::from_ne_bytes(word.to_be_bytes());
    let last_frame = |copy: &[u8]| {
        let [_, _, _, _, last_frame, _, _, _, salt_1, salt_2, sum_1, sum_2] = words(copy);
        let sum = add::<{ cfg!(target_endian = "big") }>([0, 0], &copy[..40]);
        let whole = sum == [native(sum_1), native(sum_2)];
        (whole && [salt_1, salt_2] == salts).then_some(native(last_frame))
    };
    copies.chunks_exact(INDEX_HEADER).filter_map(last_frame).max().map_or(0, u64::from)
}

/// SQLite's checksum, of what `sum` is of and of these bytes.
fn add<const BIG_ENDIAN: bool>([mut sum_1, mut sum_2]: [u32; 2], bytes: &[u8]) -> [u32; 2] {
    let word = if BIG_ENDIAN { u32::from_be_bytes } else { u32::from_le_bytes };
    for [one, two] in bytes.as_chunks::<4>().0.as_chunks::<2>().0 {
        sum_1 = sum_1.wrapping_add(word(*one)).wrapping_add(sum_2);
        sum_2 = sum_2.wrapping_add(word(*two)).wrapping_add(sum_1);
    }
    [sum_1, sum_2]
}

/// The first words of these bytes, which have as many, with the highest byte first.
fn words<const N: usize>(bytes: &[u8]) -> [u32; N] {
    let words = bytes.as_chunks::<4>().0;
    std::array::from_fn(|at| u32::from_be_bytes(words[at]))
}

/// Whether there was as much left.
fn fill(log: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match log.read_exact(bytes) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fold;
    use super::super::schema;
    use super::*;
    use rusqlite::Connection;
    use std::fs;
    use tempfile::TempDir;

    const PAGE: usize = 4096;
    const FRAME: usize = FRAME_HEADER + PAGE;

    /// A store, where a crash could leave it at any time.
    struct Store {
        dir: TempDir,
        writer: Connection,
    }

    /// The log and its index, as they were at one moment.
    #[derive(Clone)]
    struct Left {
        log: Vec<u8>,
        index: Option<Vec<u8>>,
    }

    impl Store {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let writer = schema::open_writer(&dir.path().join("events.sqlite"), None).unwrap();
            writer.execute("CREATE TABLE filler (bytes BLOB)", ()).unwrap();
            Self { dir, writer }
        }

        /// A transaction of several frames.
        fn commit(&self) {
            self.writer.execute("INSERT INTO filler VALUES (randomblob(10000))", ()).unwrap();
        }

        fn left(&self) -> Left {
            let database = self.dir.path().join("events.sqlite");
            let [log, index] = ["-wal", "-shm"].map(|suffix| fs::read(beside(&database, suffix)).unwrap());
            Left { log, index: Some(index) }
        }
    }

    impl Left {
        /// Where the last frame of each transaction ends.
        fn commits(&self) -> Vec<usize> {
            let ends = (HEADER + FRAME..=self.log.len()).step_by(FRAME);
            ends.filter(|end| words::<2>(&self.log[end - FRAME..])[1] != 0).collect()
        }

        fn flipped(&self, byte: usize) -> Self {
            let mut log = self.log.clone();
            log[byte] ^= 16;
            Self { log, ..self.clone() }
        }

        /// What a power failure leaves of the index, or more.
        fn without_index(self) -> Self {
            Self { index: None, ..self }
        }

        /// How many bytes are whole, if it is refused.
        fn refused(&self) -> Option<u64> {
            let dir = tempfile::tempdir().unwrap();
            let database = dir.path().join("events.sqlite");
            fs::write(beside(&database, "-wal"), &self.log).unwrap();
            if let Some(index) = &self.index {
                fs::write(beside(&database, "-shm"), index).unwrap();
            }
            match verify(&database) {
                Ok(()) => None,
                Err(OpenError::DamagedLog { whole, .. }) => Some(whole),
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// In each frame its page, and what its header says of page, transaction, log and checksum.
    fn places(left: &Left, end: usize) -> impl Iterator<Item = usize> {
        let frames = (HEADER..end).step_by(FRAME);
        assert!(left.log.len() >= end);
        frames.flat_map(|frame| [2, 6, 9, 13, 17, 21, FRAME_HEADER + 7, FRAME - 1].map(|at| frame + at))
    }

    #[test]
    fn a_killed_process_leaves_a_log_in_which_every_damage_is_found() {
        let store = Store::new();
        (0..5).for_each(|_| store.commit());
        let left = store.left();
        assert_eq!(left.refused(), None);
        let end = *left.commits().last().unwrap();
        for at in places(&left, end).chain(0..HEADER) {
            let whole = if at < HEADER { 0 } else { HEADER + (at - HEADER) / FRAME * FRAME };
            assert_eq!(left.flipped(at).refused(), Some(whole as u64), "byte {at}");
        }
        let cut = Left { log: left.log[..end - 1].to_vec(), ..left };
        assert_eq!(cut.refused(), Some((end - FRAME) as u64), "the end is missing");
    }

    #[test]
    fn without_the_index_a_damage_is_found_before_the_last_two_transactions() {
        let store = Store::new();
        (0..5).for_each(|_| store.commit());
        let left = store.left().without_index();
        let commits = left.commits();
        for at in places(&left, commits[commits.len() - 3]).chain(0..HEADER) {
            assert!(left.flipped(at).refused().is_some(), "byte {at}");
        }
    }

    #[test]
    fn whatever_a_power_failure_leaves_of_the_last_transaction_is_no_damage() {
        const SECTOR: usize = 512;
        let store = Store::new();
        (0..3).for_each(|_| store.commit());
        // Behind this log there are frames of the one before.
        assert_eq!(fold::fold(&store.writer).unwrap(), 0);
        store.commit();
        let before = store.left();
        store.commit();
        let after = store.left();
        let [.., from, end] = after.commits()[..2] else { panic!("two transactions") };
        assert!(end - from >= 3 * FRAME && before.log.len() > end, "{from} to {end}");

        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..300 {
            let mut log = after.log.clone();
            let chance = rng.f64();
            for sector in (from / SECTOR..=end / SECTOR).map(|sector| sector * SECTOR) {
                if rng.f64() < chance {
                    let bytes = sector.max(from)..(sector + SECTOR).min(end);
                    log[bytes.clone()].copy_from_slice(&before.log[bytes]);
                }
            }
            let torn = Left { log, index: before.index.clone() };
            assert_eq!(torn.refused(), None);
            assert_eq!(torn.without_index().refused(), None);
        }
    }

    #[test]
    fn a_log_without_frames_is_whole() {
        let left = Store::new().left();
        for bytes in [0, HEADER - 1, HEADER] {
            let log = left.log[..bytes].to_vec();
            assert_eq!(Left { log, index: None }.refused(), None, "{bytes} bytes");
        }
        assert_eq!(Left { log: vec![0; HEADER], index: None }.refused(), None);
    }
}
