//! A download whose process is killed again and again: what was fetched stays, and what is seen is right.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use dataflow_testkit::hub::Fault;
use dataflow_tests::Random;
use rustix::process::Signal;

use crate::watch::{Watch, files};
use crate::world::{WEIGHTS, World, bytes, killed, model, reached};

const KILLS: usize = 50;
const SEED: u64 = 4;
const SIZE: usize = 32 * 1024 * 1024;
/// The state of a socket in `/proc/net/tcp`, whose queues are not of bytes then.
const LISTENS: &str = "0A";
/// What a process may have taken in and not yet put down when it is killed: one chunk.
const CHUNK_BYTES: u64 = 1024 * 1024;
const BYTES_PER_SECOND: u64 = 16 * 1024 * 1024;

#[test]
fn fifty_kills_at_random_bytes_of_a_download_cost_a_chunk_each_and_nothing_wrong_is_ever_seen() {
    let repository = model("acme/big", SIZE);
    let commit = repository.commit();
    let hash = |path| repository.hash(path).expect("it has that file");
    let right = BTreeMap::from([
        (hash(WEIGHTS), bytes(7, SIZE)),
        (hash("config.json"), br#"{"size":"tiny"}"#.to_vec()),
    ]);
    let world = World::new("killed-download", [repository]);
    let cached = world.cached("acme/big");
    let watch = Watch::new(&cached, &commit, right);

    world.hub.throttle(Some(BYTES_PER_SECOND));
    let mut random = Random::new(SEED);
    // Two of them may be the same, and then the second is one byte further; the last byte never comes.
    let mut places: Vec<u64> = (0..KILLS)
        .map(|_| random.between(1, SIZE as u64 - 2))
        .collect();
    places.sort_unstable();
    let mut fetched_twice = Vec::new();
    let (mut taken_in, mut sent_up_to) = (0, 0);
    for place in places {
        let from = world.hub.transfers(WEIGHTS).len();
        // The Hub stands still there by itself: however late this thread is, the file does not come to its end.
        let after_bytes = (place - place.min(sent_up_to)).max(1);
        let attempt = u32::try_from(from + 1).expect("a few");
        world
            .hub
            .script(WEIGHTS, attempt, Fault::Stall { after_bytes });
        let pull = world.pull("acme/big").start();
        world.wait_until_silent(WEIGHTS, from);
        // And it stands still for as long as it takes to see what it has taken in of what was sent.
        pull.signal(Signal::STOP);
        let transfer = &world.hub.transfers(WEIGHTS)[from];
        fetched_twice.push(taken_in - transfer.range_start().min(taken_in));
        sent_up_to = reached(transfer);
        taken_in = sent_up_to.saturating_sub(on_its_way(&world.hub.cdn()));
        killed(pull);
        watch.look();
        assert!(
            !cached
                .join("snapshots")
                .join(&commit)
                .join(WEIGHTS)
                .exists()
        );
    }
    world.hub.throttle(None);
    world.pull("acme/big").run().expect_code(0);

    watch.look();
    let snapshot = cached.join("snapshots").join(&commit);
    assert_eq!(files(&snapshot).len(), 2);
    assert!(std::fs::read(snapshot.join(WEIGHTS)).expect("it is there") == bytes(7, SIZE));
    let left = files(&cached.join(".dataflow/partial"));
    assert!(left.is_empty(), "nothing is left over: {left:?}");
    let transfers = world.hub.transfers(WEIGHTS);
    assert!(transfers.len() > KILLS, "{} transfers", transfers.len());
    fetched_twice.push(taken_in - transfers[transfers.len() - 1].range_start().min(taken_in));
    let (sum, max) = (
        fetched_twice.iter().sum::<u64>(),
        fetched_twice.iter().max(),
    );
    println!(
        "killed {KILLS} times in {SIZE} bytes (seed {SEED}): {} bytes a kill were fetched twice, {max:?} at most",
        sum / KILLS as u64
    );
    assert!(
        max <= Some(&CHUNK_BYTES),
        "at most a chunk is fetched twice: {fetched_twice:?}"
    );
    assert!(world.hub.violations().is_empty());
}

/// Bytes that the system has taken from who listens at `address` and not yet given to whom they are for.
fn on_its_way(address: &str) -> u64 {
    let address: SocketAddrV4 = address
        .trim_start_matches("http://")
        .parse()
        .expect("the address of a Hub");
    let [a, b, c, d] = address.ip().octets();
    let address = format!("{d:02X}{c:02X}{b:02X}{a:02X}:{:04X}", address.port());
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel shows its sockets");
    let bytes = |hexadecimal| u64::from_str_radix(hexadecimal, 16).expect("a number");
    table
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let Some((unacknowledged, unread)) = fields[4].split_once(':') else {
                return 0;
            };
            if fields[1] == address && fields[3] != LISTENS {
                bytes(unacknowledged)
            } else if fields[2] == address {
                bytes(unread)
            } else {
                0
            }
        })
        .sum()
}
