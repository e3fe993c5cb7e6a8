//! Messages arrive whole and in order, whatever their form, and sleepers are woken.

use super::*;

#[test]
fn messages_arrive_in_order_and_the_counts_balance_at_every_step() {
    let mut rig = rig(QueuePolicy::Block, 5, 2);
    let mut expected = 1;
    for value in 1..=1000 {
        assert_eq!(rig.send(value), Published::Queued(sequence(value)));
        rig.counts();
        if value % 3 != 0 {
            continue;
        }
        while let Some(taken) = rig.take() {
            assert_eq!(taken, (expected, expected));
            expected += 1;
            rig.counts();
        }
    }
    let counts = rig.counts();
    assert_eq!((counts.sent, counts.delivered), (1000, 999));
    assert_eq!((counts.queued, counts.bytes), (1, 8000));
}

#[test]
fn every_form_of_message_arrives_as_it_was_sent() {
    let mut rig = rig(QueuePolicy::Block, 8, 8);
    let bytes: Vec<u8> = (0..96).collect();
    for (payload, metadata) in [
        (0, 0),
        (1, 0),
        (0, 1),
        (24, 8),
        (7, 9),
        (96, 0),
        (95, 1),
        (0, 96),
    ] {
        let (payload, metadata) = (&bytes[..payload], &bytes[96 - metadata..]);
        let body = OutgoingBody::Inline { payload, metadata };
        let message = Outgoing {
            sent_at_ns: 5,
            waited_ns: 0,
            body,
        };
        rig.sender.publish(&message, &mut rig.freed).unwrap();
        let IncomingBody::Inline(inline) = rig.receiver.take().unwrap().unwrap().body else {
            panic!("an inline message was sent");
        };
        assert_eq!((inline.payload(), inline.metadata()), (payload, metadata));
        assert_eq!(
            inline.payload().as_ptr() as usize % 64,
            0,
            "payloads are aligned"
        );
    }
    for metadata in [0, 3, 80] {
        let body = OutgoingBody::Chunk {
            chunk: chunk(1),
            payload_length: 12,
            metadata: OutgoingMetadata::Slot(&bytes[..metadata]),
        };
        let message = Outgoing {
            sent_at_ns: 5,
            waited_ns: 0,
            body,
        };
        rig.sender.publish(&message, &mut rig.freed).unwrap();
        let IncomingBody::Chunk(taken) = rig.receiver.take().unwrap().unwrap().body else {
            panic!("a message in a chunk was sent");
        };
        let ReceivedMetadata::Slot(found) = taken.metadata else {
            panic!("the metadata was short");
        };
        assert_eq!(found.as_slice(), &bytes[..metadata]);
    }
    let body = OutgoingBody::Chunk {
        chunk: chunk(2),
        payload_length: 12,
        metadata: OutgoingMetadata::Chunk(65_536),
    };
    let message = Outgoing {
        sent_at_ns: 5,
        waited_ns: 0,
        body,
    };
    rig.sender.publish(&message, &mut rig.freed).unwrap();
    let IncomingBody::Chunk(taken) = rig.receiver.take().unwrap().unwrap().body else {
        panic!("a message in a chunk was sent");
    };
    let ReceivedMetadata::Chunk { offset, length } = taken.metadata else {
        panic!("the metadata was long");
    };
    assert_eq!((offset, length), (128 + 12, 65_536));
}

#[test]
fn a_message_that_does_not_fit_is_refused_and_not_counted() {
    let mut rig = rig(QueuePolicy::Block, 2, 2);
    let long = [0; 97];
    for body in [
        OutgoingBody::Inline {
            payload: &long,
            metadata: b"",
        },
        OutgoingBody::Inline {
            payload: &long[..50],
            metadata: &long[..47],
        },
        OutgoingBody::Chunk {
            chunk: chunk(1),
            payload_length: 1,
            metadata: OutgoingMetadata::Slot(&long[..81]),
        },
        OutgoingBody::Chunk {
            chunk: chunk(1),
            payload_length: 1,
            metadata: OutgoingMetadata::Chunk(65_537),
        },
    ] {
        let message = Outgoing {
            sent_at_ns: 0,
            waited_ns: 0,
            body,
        };
        let refused = rig.sender.publish(&message, &mut rig.freed);
        assert!(
            matches!(refused, Err(PublishError::TooLong { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(rig.counts().sent, 0);
}

#[test]
fn a_sleeping_receiver_is_woken_once_and_a_busy_one_never() {
    let mut rig = rig(QueuePolicy::Block, 8, 2);
    rig.send(1);
    assert!(!rig.receive_waiter.drain(), "it did not sleep");
    assert!(!rig.receiver.prepare_sleep(), "there is something to take");
    rig.take();
    assert!(rig.receiver.prepare_sleep());
    assert!(rig.keeper.read().receiver_idle);
    rig.send(2);
    assert!(rig.receive_waiter.drain());
    assert!(!rig.keeper.read().receiver_idle);
    rig.send(3);
    assert!(!rig.receive_waiter.drain(), "it was woken already");
    rig.receiver.finish_sleep();
}

#[test]
fn a_receiver_takes_nothing_after_its_limit() {
    let mut rig = rig(QueuePolicy::Block, 8, 2);
    (1..=4).for_each(|value| {
        rig.send(value);
    });
    rig.receiver.set_upto(sequence(2));
    assert!(!rig.receiver.upto_reached());
    assert_eq!(
        [rig.take(), rig.take(), rig.take()],
        [Some((1, 1)), Some((2, 2)), None]
    );
    assert!(rig.receiver.upto_reached());
    assert!(
        rig.receiver.prepare_sleep(),
        "what is after the limit is not for this receiver"
    );
    assert_eq!(rig.counts().queued, 2);
}

#[test]
fn how_long_a_sender_waited_for_room_comes_with_the_message() {
    let mut rig = rig(QueuePolicy::Block, 8, 2);
    let longest_ns = (1 << 44) - 1;
    for (waited_ns, arrives_ns) in [
        (0, 0),
        (1, 1),
        (3_200_000_000, 3_200_000_000),
        (longest_ns, longest_ns),
        (longest_ns + 1, longest_ns),
        (u64::MAX, longest_ns),
    ] {
        for metadata in [b"".as_slice(), &[7; 96]] {
            let message = Outgoing {
                sent_at_ns: 5,
                waited_ns,
                body: OutgoingBody::Inline {
                    payload: b"",
                    metadata,
                },
            };
            rig.sender.publish(&message, &mut rig.freed).unwrap();
            let incoming = rig.receiver.take().unwrap().unwrap();
            assert_eq!((incoming.sent_at_ns, incoming.waited_ns), (5, arrives_ns));
            let IncomingBody::Inline(inline) = incoming.body else {
                panic!("it was sent inline");
            };
            assert_eq!(inline.metadata(), metadata);
        }
    }
}

#[test]
fn a_reading_says_since_when_the_oldest_message_waits() {
    let mut rig = rig(QueuePolicy::Block, 8, 2);
    let oldest = |rig: &Rig| rig.keeper.read().oldest_sent_at_ns;
    assert_eq!(oldest(&rig), None);
    // A slot that was used before lies behind one that is used now.
    (10..=17).for_each(|value| {
        rig.send(value);
    });
    (10..=12).for_each(|_| {
        rig.take();
    });
    (20..=22).for_each(|value| {
        rig.send(value);
    });
    for expected in (13..=17).chain(20..=22) {
        assert_eq!(oldest(&rig), Some(expected));
        rig.take();
    }
    assert_eq!(oldest(&rig), None);
}
