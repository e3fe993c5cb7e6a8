//! A log that has a limit, and a disk that is full: what is kept is in order, and what is not is told.

use std::time::{Duration, UNIX_EPOCH};

use dataflow_ids::{DataflowName, NodeId};

use super::losses::Losses;
use super::node_log::{NodeLog, newer, older};
use super::{LogReader, LogRecord, LogStream, PastRun};

/// What the logs here may take, in bytes.
const LIMIT: u64 = 8 * 1024;

struct Rig {
    place: tempfile::TempDir,
    node: NodeId,
    losses: Losses,
    log: NodeLog,
    said: u64,
}

impl Rig {
    fn new(limit: u64) -> Rig {
        let place = tempfile::tempdir().unwrap();
        let node = NodeId::new("n").unwrap();
        let losses = Losses::default();
        Rig {
            log: NodeLog::new(place.path(), node.clone(), limit, losses.clone()),
            place,
            node,
            losses,
            said: 0,
        }
    }

    /// The node says its next number.
    fn say(&mut self) {
        self.said += 1;
        let record = LogRecord {
            at_ms: self.said,
            node: self.node.clone(),
            stream: LogStream::Stdout,
            line: format!("{} {}", self.said, "x".repeat(60)),
        };
        // That something was not written is in the losses.
        let _ = self.log.write(&record);
    }

    fn say_all(&mut self, count: u64) {
        for _ in 0..count {
            self.say();
        }
        let _ = self.log.flush();
    }

    fn run(&self) -> PastRun {
        PastRun {
            name: DataflowName::new("a").unwrap(),
            run: "a-1".to_owned(),
            file: self.place.path().join("a.yml"),
            started_at: UNIX_EPOCH + Duration::from_secs(1),
            pid: 1,
            nodes: vec![self.node.clone()],
            folder: self.place.path().to_path_buf(),
        }
    }

    fn bytes_on_the_disk(&self) -> u64 {
        let folder = self.place.path();
        [newer(folder, &self.node), older(folder, &self.node)]
            .iter()
            .map(|path| std::fs::metadata(path).map_or(0, |metadata| metadata.len()))
            .sum()
    }
}

/// What is there to read: the node's numbers, and what the runtime says between them.
fn read(reader: &mut LogReader) -> (Vec<u64>, Vec<String>) {
    let (mut numbers, mut told) = (Vec::new(), Vec::new());
    while let Some(record) = reader.next_record().unwrap() {
        match record.stream {
            LogStream::Runtime => told.push(record.line),
            _ => numbers.push(record.line.split(' ').next().unwrap().parse().unwrap()),
        }
    }
    (numbers, told)
}

fn up_to(first: u64, last: u64) -> Vec<u64> {
    (first..=last).collect()
}

#[test]
fn a_log_keeps_to_its_limit_and_says_how_much_was_thrown_away() {
    let mut rig = Rig::new(LIMIT);
    for round in 1..=20 {
        rig.say_all(50);
        let bytes = rig.bytes_on_the_disk();
        assert!(bytes <= LIMIT, "{bytes} bytes");
        let thrown_away = rig.losses.of(&rig.node).lines_thrown_away;
        let (numbers, told) = read(&mut LogReader::open(&rig.run(), &[]));
        assert_eq!(numbers, up_to(thrown_away + 1, 50 * round));
        if thrown_away > 0 {
            let losses = rig.losses.of(&rig.node);
            let said = format!(
                "{thrown_away} lines ({} bytes) that",
                losses.bytes_thrown_away
            );
            assert_eq!(told.len(), 1);
            assert!(told[0].starts_with(&said), "{told:?}, and not {said}");
            assert!(bytes > LIMIT / 4, "much of it is kept");
        }
    }
    assert!(rig.losses.of(&rig.node).lines_thrown_away > 800);
}

#[test]
fn who_follows_reads_every_line_once_from_file_to_file() {
    let mut rig = Rig::new(LIMIT);
    let mut reader = LogReader::open(&rig.run(), &[]);
    let mut all = Vec::new();
    for _ in 0..100 {
        rig.say_all(10);
        let (numbers, told) = read(&mut reader);
        assert_eq!(told, Vec::<String>::new());
        all.extend(numbers);
    }
    assert_eq!(all, up_to(1, 1000));
    assert!(rig.losses.of(&rig.node).lines_thrown_away > 0);
}

#[test]
fn who_follows_too_slowly_is_told_what_he_has_missed() {
    let mut rig = Rig::new(LIMIT);
    let mut reader = LogReader::open(&rig.run(), &[]);
    rig.say_all(5);
    assert_eq!(read(&mut reader).0, up_to(1, 5));
    rig.say_all(995);
    let (numbers, told) = read(&mut reader);
    // The file that was begun is read to its end, then follows what is kept.
    let gap = numbers
        .windows(2)
        .position(|two| two[1] != two[0] + 1)
        .unwrap();
    let thrown_away = rig.losses.of(&rig.node).lines_thrown_away;
    assert_eq!(numbers[..=gap], up_to(6, numbers[gap]));
    assert_eq!(numbers[gap + 1..], up_to(thrown_away + 1, 1000));
    assert_eq!(told.len(), 1);
    assert!(
        told[0].contains("bytes that came before are not kept"),
        "{told:?}"
    );
}

#[test]
fn the_last_lines_are_those_of_both_files() {
    let mut rig = Rig::new(LIMIT);
    rig.say_all(200);
    let kept = 200 - rig.losses.of(&rig.node).lines_thrown_away;
    for wanted in 0..=kept + 3 {
        let mut reader =
            LogReader::open_at_last(&rig.run(), &[], usize::try_from(wanted).unwrap()).unwrap();
        let (numbers, told) = read(&mut reader);
        let expected = up_to(201 - wanted.min(kept), 200);
        assert_eq!(numbers, expected, "the last {wanted}");
        // Only who asks for more than there is has to know.
        assert_eq!(told.len(), usize::from(wanted > kept), "the last {wanted}");
    }
    // And on from there.
    let mut reader = LogReader::open_at_last(&rig.run(), &[], 3).unwrap();
    assert_eq!(read(&mut reader).0, up_to(198, 200));
    rig.say_all(30);
    assert_eq!(read(&mut reader).0, up_to(201, 230));
}

#[test]
fn wherever_a_full_disk_cuts_what_is_written_is_whole_and_the_rest_is_counted() {
    // The second limit lets a file begin in between, so that its heading is cut, too.
    for limit in [1024 * 1024, 1000] {
        for room in 0..900 {
            let mut rig = Rig::new(limit);
            let mut follower = LogReader::open(&rig.run(), &[]);
            rig.say_all(2);
            let mut followed = read(&mut follower);
            rig.log.room = Some(room);
            rig.say_all(3);
            let more = read(&mut follower);
            followed.0.extend(more.0);
            followed.1.extend(more.1);
            rig.log.room = None;
            rig.say_all(2);
            let more = read(&mut follower);
            followed.0.extend(more.0);
            followed.1.extend(more.1);

            let losses = rig.losses.of(&rig.node);
            let what = format!("limit {limit}, room {room}: {followed:?} {losses:?}");
            let (numbers, told) = &followed;
            assert!(numbers.is_sorted(), "{what}");
            assert_eq!(numbers.len() as u64 + losses.lines_unwritten, 7, "{what}");
            assert_eq!(numbers[numbers.len() - 2..], [6, 7], "it goes on: {what}");
            let said: u64 = told
                .iter()
                .filter(|line| line.contains("could not be written here: No space left"))
                .map(|line| line.split(' ').next().unwrap().parse::<u64>().unwrap())
                .sum();
            assert_eq!(said, losses.lines_unwritten, "{what}");
            let text = 62 * losses.lines_unwritten;
            assert_eq!(losses.bytes_unwritten, text, "{what}");
        }
    }
}

#[test]
fn a_line_that_is_no_record_is_skipped() {
    let mut rig = Rig::new(LIMIT);
    rig.say_all(1);
    let path = newer(rig.place.path(), &rig.node);
    let whole = std::fs::read(&path).unwrap();
    let torn = [
        &whole[..whole.len() / 2],
        b"\n",
        &whole[..],
        b"\xff\xfe\n\n",
    ]
    .concat();
    std::fs::write(&path, torn).unwrap();
    assert_eq!(read(&mut LogReader::open(&rig.run(), &[])).0, [1]);
}

#[test]
fn a_file_that_gets_its_other_name_while_the_last_lines_are_looked_for_is_read_once() {
    let mut rig = Rig::new(1024 * 1024);
    rig.say_all(10);
    let folder = rig.place.path();
    // As it looks to who has opened it by its first name, and then opens it by its second.
    std::fs::hard_link(newer(folder, &rig.node), older(folder, &rig.node)).unwrap();
    let mut reader = LogReader::open_at_last(&rig.run(), &[], 15).unwrap();
    assert_eq!(read(&mut reader).0, up_to(1, 10));
}
