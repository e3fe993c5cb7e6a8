//! The pool against a model: no overlap, last freed first, the limit, and retirement.

use proptest::prelude::*;
use rustix::fs::SealFlags;
use rustix::mm::{MapFlags, ProtFlags};

use super::*;
use crate::segment::{self, NewSegment};

const MIB: u64 = 1 << 20;

fn pool(limit_bytes: u64) -> SegmentPool {
    SegmentPool::new(SegmentPoolConfig {
        run: "pool-test".into(),
        node: NodeId::new("camera").unwrap(),
        index: NodeIndex(3),
        epoch: Epoch(2),
        limit_bytes,
    })
}

/// Allocates, and grows when the pool asks for it.
fn allocate(
    pool: &mut SegmentPool,
    length: usize,
) -> Result<(Chunk, Option<Growth>), AllocateError> {
    match pool.allocate(length) {
        Err(AllocateError::NeedsSegment { bytes }) => {
            let growth = pool.grow(bytes).unwrap();
            Ok((pool.allocate(length)?, Some(growth)))
        }
        other => other.map(|chunk| (chunk, None)),
    }
}

#[test]
fn a_segment_is_named_sealed_allocated_and_of_fixed_length() {
    let mut pool = pool(64 * MIB);
    let growth = pool.grow(100).unwrap();
    let NewSegment {
        segment,
        length,
        fd,
    } = growth.segment;
    assert_eq!(segment.to_string(), "s3.2.0");
    assert_eq!(length, SEGMENT_BYTES_MIN);
    let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&fd));
    let name = std::fs::read_link(link).unwrap();
    assert_eq!(
        name.to_str().unwrap(),
        "/memfd:dataflow-pool-test-camera-2-0 (deleted)"
    );
    let seals = rustix::fs::fcntl_get_seals(&fd).unwrap();
    assert_eq!(
        seals,
        SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE | SealFlags::SEAL
    );
    assert_eq!(
        rustix::fs::fstat(&fd).unwrap().st_blocks as u64 * 512,
        length
    );
    // Whoever gets the descriptor can neither shrink, grow, punch, write nor map it for writing.
    assert!(rustix::fs::ftruncate(&fd, length - 4096).is_err());
    assert!(rustix::fs::ftruncate(&fd, length + 4096).is_err());
    assert!(rustix::io::pwrite(&fd, &[1], 0).is_err());
    let punch = rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE;
    assert!(rustix::fs::fallocate(&fd, punch, 0, 4096).is_err());
    assert!(rustix::fs::fcntl_add_seals(&fd, SealFlags::WRITE).is_err());
    // SAFETY: a new mapping at an address of the kernel's choice; it is expected to be refused.
    let writable = unsafe {
        rustix::mm::mmap(
            std::ptr::null_mut(),
            4096,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::SHARED,
            &fd,
            0,
        )
    };
    assert!(writable.is_err());
    // The sender itself goes on writing, and a reader sees it.
    let reader = Mapping::map(&fd, length, crate::mapping::Access::ReadOnly).unwrap();
    let mut chunk = pool.allocate(100).unwrap();
    chunk.bytes_mut()[..5].copy_from_slice(b"hello");
    assert_eq!(reader.slice(chunk.offset(), 5).unwrap(), b"hello");
}

#[test]
fn a_long_name_of_a_run_is_cut_before_the_part_that_tells_segments_apart() {
    let segment = SegmentId {
        node: NodeIndex(0),
        epoch: Epoch(7),
        number: 9,
    };
    let node = NodeId::new("n".repeat(64)).unwrap();
    let name = segment::memfd_name(&"é".repeat(300), &node, segment);
    assert!(name.len() <= crate::memfd::MEMFD_NAME_BYTES_MAX);
    assert!(name.starts_with("dataflow-éé") && name.ends_with("nnn-7-9"));
}

#[test]
fn the_chunk_freed_last_is_used_first() {
    let mut pool = pool(64 * MIB);
    let chunks: Vec<_> = (0..3)
        .map(|_| allocate(&mut pool, 4000).unwrap().0)
        .collect();
    let offsets: Vec<_> = chunks.iter().map(Chunk::offset).collect();
    let keys: Vec<_> = chunks.into_iter().map(|chunk| pool.share(chunk)).collect();
    for place in [1, 2, 0] {
        pool.release(keys[place]).unwrap();
    }
    for place in [0, 2, 1] {
        let chunk = pool.allocate(4096).unwrap();
        assert_eq!(chunk.offset(), offsets[place]);
        let _ = pool.share(chunk);
    }
}

#[test]
fn a_segment_that_could_not_be_handed_over_is_never_used() {
    let mut pool = pool(64 * MIB);
    let abandoned = pool.grow(1000).unwrap().segment.segment;
    pool.abandon(abandoned);
    assert_eq!(pool.usage().total_bytes, 0);
    assert!(matches!(
        pool.allocate(1000),
        Err(AllocateError::NeedsSegment { .. })
    ));
    let next = pool.grow(1000).unwrap().segment.segment;
    assert_eq!(next.number, abandoned.number + 1, "numbers are used once");
    assert_eq!(pool.allocate(1000).unwrap().segment(), next);
}

#[test]
fn a_chunk_is_used_again_only_after_its_last_hold_is_released() {
    let mut pool = pool(64 * MIB);
    let (chunk, _) = allocate(&mut pool, 1000).unwrap();
    let key = pool.share(chunk);
    pool.retain(key, 2).unwrap();
    for _ in 0..3 {
        assert_eq!(pool.usage().in_use_bytes, 1024);
        assert_ne!(pool.allocate(1000).unwrap().offset(), key.offset);
        pool.release(key).unwrap();
    }
    assert_eq!(pool.allocate(1000).unwrap().offset(), key.offset);
    let nobody = UnknownChunk {
        segment: key.segment,
        offset: key.offset,
    };
    assert_eq!(pool.release(key), Err(nobody));
    assert_eq!(pool.retain(key, 1), Err(nobody));
}

#[test]
fn a_key_of_another_incarnation_changes_nothing() {
    let mut pool = pool(64 * MIB);
    let (chunk, _) = allocate(&mut pool, 1000).unwrap();
    let key = pool.share(chunk);
    let mut foreign = key;
    foreign.segment.epoch = Epoch(1);
    assert!(pool.release(foreign).is_err());
    assert_eq!(pool.usage().in_use_bytes, 1024);
}

#[test]
fn a_chunk_that_is_not_sent_comes_back_from_any_thread() {
    let mut pool = pool(64 * MIB);
    let (mut chunk, _) = allocate(&mut pool, 5000).unwrap();
    let offset = chunk.offset();
    std::thread::spawn(move || {
        chunk.bytes_mut().fill(9);
        assert_eq!(chunk.bytes(), [9; 5120]);
    })
    .join()
    .unwrap();
    let again = pool.allocate(5000).unwrap();
    assert_eq!(again.offset(), offset);
    assert_eq!(pool.usage().in_use_bytes, 5120);
}

#[test]
fn a_chunk_outlives_its_pool() {
    let mut pool = pool(64 * MIB);
    let (mut chunk, _) = allocate(&mut pool, 5000).unwrap();
    drop(pool);
    chunk.bytes_mut().fill(9);
    assert_eq!(chunk.bytes()[4999], 9);
}

#[test]
fn the_limit_holds_and_its_errors_say_what_helps() {
    let mut pool = pool(2 * MIB);
    assert_eq!(
        pool.allocate(3 * MIB as usize).unwrap_err(),
        AllocateError::TooLarge {
            bytes: 3 * MIB,
            limit_bytes: 2 * MIB
        }
    );
    assert!(matches!(
        pool.allocate(usize::MAX),
        Err(AllocateError::TooLarge { .. })
    ));
    let (one, _) = allocate(&mut pool, MIB as usize).unwrap();
    let (_two, _) = allocate(&mut pool, MIB as usize).unwrap();
    let error = pool.allocate(1).unwrap_err();
    assert_eq!(
        error,
        AllocateError::AtLimit {
            bytes: 128,
            in_use_bytes: 2 * MIB,
            limit_bytes: 2 * MIB
        }
    );
    assert!(error.to_string().contains("output_memory_mb"));
    assert!(matches!(pool.grow(1), Err(GrowError::AtLimit { .. })));
    drop(one);
    assert!(pool.allocate(MIB as usize).is_ok());
}

#[test]
fn a_message_as_large_as_the_limit_is_taken() {
    // The limit is no size of a class: the class above it is cut to what there may be.
    let mut pool = pool(5 * MIB + 5000);
    let (chunk, _) = allocate(&mut pool, 5 * MIB as usize + 4096).unwrap();
    assert_eq!(chunk.capacity() as u64, 5 * MIB + 4096);
}

#[test]
fn small_chunks_become_a_large_one_again() {
    let mut pool = pool(2 * MIB);
    let keys: Vec<_> = (0..2 * 1024)
        .map(|_| {
            let (chunk, _) = allocate(&mut pool, 1024).unwrap();
            pool.share(chunk)
        })
        .collect();
    assert!(pool.allocate(1024).is_err());
    keys.into_iter().for_each(|key| pool.release(key).unwrap());
    let segments = pool.segments.len();
    assert!(pool.allocate(MIB as usize).is_ok());
    assert_eq!(pool.segments.len(), segments);
}

#[test]
fn growth_at_the_limit_gives_idle_segments_back() {
    let mut pool = pool(8 * MIB);
    let (small, growth) = allocate(&mut pool, 1000).unwrap();
    let first = growth.unwrap().segment.segment;
    drop(small);
    let (large, growth) = allocate(&mut pool, 8 * MIB as usize).unwrap();
    let growth = growth.unwrap();
    assert_eq!(growth.retired, [first]);
    assert_eq!(growth.segment.segment.number, first.number + 1);
    assert_eq!(pool.usage().total_bytes, 8 * MIB);
    drop(large);
}

#[test]
fn idle_segments_are_given_back_when_less_is_needed_for_a_while() {
    let mut pool = pool(64 * MIB);
    let mut chunks = Vec::new();
    for _ in 0..12 {
        chunks.push(allocate(&mut pool, MIB as usize).unwrap().0);
    }
    let before = pool.usage();
    assert!(before.total_bytes >= 12 * MIB);
    assert_eq!(pool.retire_idle(), [], "nothing is idle");
    let last = chunks.pop().unwrap();
    chunks.clear();
    assert_eq!(
        pool.retire_idle(),
        [],
        "all of it was needed since the last look"
    );
    let retired = pool.retire_idle();
    assert!(!retired.is_empty());
    assert!(!retired.contains(&last.segment()));
    let after = pool.usage();
    assert!(after.total_bytes < before.total_bytes);
    assert_eq!(after.in_use_bytes, MIB);
    // What is left still serves, and numbers are never used again.
    let grown: Vec<_> = (0..12)
        .map(|_| allocate(&mut pool, MIB as usize).unwrap())
        .filter_map(|(_, growth)| growth)
        .collect();
    assert!(
        grown
            .iter()
            .all(|growth| !retired.contains(&growth.segment.segment))
    );
}

#[test]
fn a_steady_load_never_gives_back_what_it_needs() {
    let mut pool = pool(64 * MIB);
    for round in 0..50 {
        let chunks: Vec<_> = (0..6)
            .map(|_| allocate(&mut pool, 2 * MIB as usize).unwrap())
            .collect();
        let grown = chunks.iter().filter(|(_, growth)| growth.is_some()).count();
        assert!(round == 0 || grown == 0, "round {round} has grown");
        drop(chunks);
        let _ = pool.retire_idle();
    }
}

#[derive(Debug, Clone)]
enum Operation {
    Allocate(usize),
    DropUnsent(prop::sample::Index),
    Share(prop::sample::Index, u32),
    Release(prop::sample::Index),
    RetireIdle,
}

fn operation() -> impl Strategy<Value = Operation> {
    let length = prop_oneof![
        4 => 0..5000usize,
        2 => 5000..200_000usize,
        1 => 200_000..3_000_000usize,
    ];
    prop_oneof![
        5 => length.prop_map(Operation::Allocate),
        1 => any::<prop::sample::Index>().prop_map(Operation::DropUnsent),
        3 => (any::<prop::sample::Index>(), 0..4u32)
            .prop_map(|(index, holds)| Operation::Share(index, holds)),
        6 => any::<prop::sample::Index>().prop_map(Operation::Release),
        1 => Just(Operation::RetireIdle),
    ]
}

/// What the test knows of a shared chunk.
struct SharedModel {
    key: ChunkKey,
    capacity: u64,
    holds: u32,
    stamp: u8,
}

fn stamp_of(bytes: &[u8]) -> (u8, u8) {
    (bytes[0], bytes[bytes.len() - 1])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn chunks_never_overlap_and_the_limit_and_the_order_hold(
        operations in proptest::collection::vec(operation(), 1..120),
        limit_mib in 1..12u64,
    ) {
        let limit_bytes = limit_mib * MIB + 12_345;
        let mut pool = pool(limit_bytes);
        let mut readers: BTreeMap<SegmentId, Mapping> = BTreeMap::new();
        let mut unsent: Vec<(Chunk, u8)> = Vec::new();
        let mut shared: Vec<SharedModel> = Vec::new();
        let mut freed_last: Option<(ChunkKey, u64)> = None;
        for (turn, operation) in operations.into_iter().enumerate() {
            let stamp = turn as u8;
            let expected = freed_last.take();
            match operation {
                Operation::Allocate(length) => match allocate(&mut pool, length) {
                    Ok((mut chunk, growth)) => {
                        if let Some(growth) = growth {
                            let new = growth.segment;
                            for retired in growth.retired {
                                prop_assert!(readers.remove(&retired).is_some());
                            }
                            let reader = Mapping::map(
                                &new.fd, new.length, crate::mapping::Access::ReadOnly,
                            ).unwrap();
                            prop_assert!(readers.insert(new.segment, reader).is_none());
                        }
                        prop_assert!(chunk.capacity() >= length);
                        prop_assert_eq!(chunk.offset() % CHUNK_ALIGNMENT_BYTES, 0);
                        if let Some((key, capacity)) = expected
                            && capacity == class_bytes(length as u64).unwrap()
                        {
                            prop_assert_eq!((chunk.segment(), chunk.offset()), (key.segment, key.offset));
                        }
                        let bytes = chunk.bytes_mut();
                        bytes[0] = stamp;
                        bytes[bytes.len() - 1] = stamp;
                        unsent.push((chunk, stamp));
                    }
                    Err(AllocateError::TooLarge { .. }) => prop_assert!(length as u64 > limit_bytes - 4096),
                    Err(AllocateError::AtLimit { in_use_bytes, .. }) => prop_assert!(in_use_bytes > 0),
                    Err(AllocateError::NeedsSegment { .. }) => prop_assert!(false, "it has just grown"),
                },
                Operation::DropUnsent(index) if !unsent.is_empty() => {
                    let (chunk, stamp) = unsent.swap_remove(index.index(unsent.len()));
                    prop_assert_eq!(stamp_of(chunk.bytes()), (stamp, stamp));
                    freed_last = Some((
                        ChunkKey { segment: chunk.segment(), offset: chunk.offset() },
                        chunk.capacity() as u64,
                    ));
                }
                Operation::Share(index, holds) if !unsent.is_empty() => {
                    let (chunk, stamp) = unsent.swap_remove(index.index(unsent.len()));
                    let capacity = chunk.capacity() as u64;
                    let key = pool.share(chunk);
                    pool.retain(key, holds).unwrap();
                    shared.push(SharedModel { key, capacity, holds: holds + 1, stamp });
                }
                Operation::Release(index) if !shared.is_empty() => {
                    let index = index.index(shared.len());
                    let model = &mut shared[index];
                    let reader = &readers[&model.key.segment];
                    let bytes = reader.slice(model.key.offset, model.capacity).unwrap();
                    prop_assert_eq!(stamp_of(bytes), (model.stamp, model.stamp));
                    pool.release(model.key).unwrap();
                    model.holds -= 1;
                    if model.holds == 0 {
                        let model = shared.swap_remove(index);
                        freed_last = Some((model.key, model.capacity));
                    }
                }
                Operation::RetireIdle => {
                    for retired in pool.retire_idle() {
                        prop_assert!(readers.remove(&retired).is_some());
                    }
                }
                _ => {}
            }

            // No two chunks share a byte, none is outside of a live segment, and the sums are right.
            let mut ranges: Vec<_> = shared
                .iter()
                .map(|model| (model.key.segment, model.key.offset, model.capacity))
                .chain(unsent.iter().map(|(chunk, _)| {
                    (chunk.segment(), chunk.offset(), chunk.capacity() as u64)
                }))
                .collect();
            ranges.sort_unstable();
            for pair in ranges.windows(2) {
                let (segment, offset, capacity) = pair[0];
                prop_assert!(segment != pair[1].0 || offset + capacity <= pair[1].1);
            }
            for (segment, offset, capacity) in &ranges {
                prop_assert!(offset + capacity <= readers[segment].length_bytes());
            }
            let usage = pool.usage();
            prop_assert!(usage.total_bytes <= limit_bytes);
            prop_assert_eq!(usage.total_bytes, readers.values().map(Mapping::length_bytes).sum::<u64>());
            prop_assert_eq!(usage.in_use_bytes, ranges.iter().map(|range| range.2).sum::<u64>());
        }
    }
}
