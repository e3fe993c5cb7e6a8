//! What a page says, in which words.

use std::collections::BTreeSet;

use dataflow_ids::LifeCycle;
use dataflow_ids::stats::Counter;

use super::super::Format;
use super::super::page::Exporter;
use super::{add_edge, add_run, book, counted, empty, facts, page, value};

#[test]
fn a_page_says_what_the_rows_say() {
    let page = page(&mut book(&[5, 2]));
    let edge = r#"peer="gpu-a",dataflow="vision",run="20261122-1",source="camera/image",target="detector/in0""#;
    let run = r#"peer="gpu-a",dataflow="vision",run="20261122-1""#;
    let expected = [
        (r#"dataflow_build_info{version="0.1.0"}"#.to_owned(), 1.0),
        ("dataflow_uptime_seconds".to_owned(), 3.5),
        ("dataflow_control_beat_age_seconds".to_owned(), 0.25),
        ("dataflow_snapshot_age_seconds".to_owned(), 0.75),
        ("dataflow_dataflows".to_owned(), 1.0),
        (r#"dataflow_nodes{state="starting"}"#.to_owned(), 2.0),
        ("dataflow_messages_sent_total".to_owned(), 7.0),
        ("dataflow_sent_bytes_total".to_owned(), 700.0),
        (
            format!("dataflow_run_messages_delivered_total{{{run}}}"),
            7.0,
        ),
        (
            r#"dataflow_group_messages_sent_total{group="camera"}"#.to_owned(),
            7.0,
        ),
        (
            r#"dataflow_group_messages_sent_total{group="detector"}"#.to_owned(),
            0.0,
        ),
        (
            r#"dataflow_group_messages_delivered_total{group="detector"}"#.to_owned(),
            7.0,
        ),
        (format!("dataflow_edge_messages_sent_total{{{edge}}}"), 5.0),
        (
            format!(r#"dataflow_edge_messages_dropped_total{{{edge},reason="full"}}"#),
            0.0,
        ),
        (
            format!("dataflow_edge_message_latency_seconds_count{{{edge}}}"),
            5.0,
        ),
        (
            format!("dataflow_edge_message_latency_seconds_sum{{{edge}}}"),
            0.005,
        ),
        (
            r#"dataflow_actor_messages_handled_total{actor="node"}"#.to_owned(),
            9.0,
        ),
        (
            r#"dataflow_peer_state{peer="gpu-b",state="degraded"}"#.to_owned(),
            1.0,
        ),
        (
            r#"dataflow_peer_state{peer="gpu-b",state="healthy"}"#.to_owned(),
            0.0,
        ),
        (
            r#"dataflow_peer_state_age_seconds{peer="gpu-b"}"#.to_owned(),
            0.5,
        ),
        (
            r#"dataflow_peer_round_trip_seconds{peer="gpu-b"}"#.to_owned(),
            0.0015,
        ),
        ("dataflow_audit_mismatches_total".to_owned(), 0.0),
    ];
    for (metric, expected) in expected {
        assert_eq!(value(&page, &metric), expected, "{metric}");
    }
}

#[test]
fn time_in_a_state_is_what_has_passed_and_what_goes_on() {
    let page = page(&mut book(&[]));
    let of = |state: LifeCycle| {
        let metric = format!(r#"dataflow_node_state_seconds_total{{state="{state}"}}"#);
        value(&page, &metric)
    };
    // Two nodes, each half a second in two states and then in a third until now.
    assert_eq!(of(LifeCycle::Declared), 1.0);
    assert_eq!(of(LifeCycle::Placed), 1.0);
    assert_eq!(of(LifeCycle::Starting), 5.0);
    assert_eq!(LifeCycle::ALL.map(of).iter().sum::<f64>(), 7.0);
}

#[test]
fn a_bound_of_a_histogram_has_every_span_up_to_it_and_none_above() {
    let mut said = counted(0);
    // 512 to 1,023 ns, 1,024 to 2,047 ns, and 2,048 to 4,095 ns.
    said.histograms.latency.buckets[10] = 3;
    said.histograms.latency.buckets[11] = 4;
    said.histograms.latency.buckets[12] = 1;
    // Longer than a day.
    said.histograms.latency.buckets[47] = 5;
    let mut book = empty();
    let run = add_run(&mut book, 1);
    let key = add_edge(&mut book, run, 0);
    book.edge_read(key, &said).unwrap();
    let page = page(&mut book);
    let run = r#"peer="gpu-a",dataflow="vision",run="20261122-1""#;
    let edge = format!(r#"{run},source="camera/image",target="detector/in0""#);
    // The bounds of a level, and how many are below each of them.
    let bounds = |level: &str, labels: &str| -> Vec<(f64, f64)> {
        let begin = format!("dataflow_{level}message_latency_seconds_bucket{{le=\"");
        let lines = page.lines().filter_map(|line| line.strip_prefix(&begin));
        let of = lines.filter_map(|line| {
            let (bound, rest) = line.split_once('"')?;
            let (said, count) = rest.rsplit_once("} ")?;
            let is_it = said.trim_start_matches(',') == labels;
            is_it.then(|| (bound.parse().unwrap(), count.parse().unwrap()))
        });
        of.collect()
    };
    let fine = bounds("", "");
    assert_eq!(bounds("run_", run), fine);
    let coarse = bounds("edge_", &edge);
    assert_eq!(bounds("group_", r#"group="detector""#), coarse);
    let expected = [(0.000001023, 3.0), (0.000002047, 7.0), (0.000004095, 8.0)];
    assert_eq!(fine[..3], expected);
    assert_eq!(coarse[..2], [expected[0], expected[2]]);
    for (factor, bounds) in [(2.0, &fine), (4.0, &coarse)] {
        let [most @ .., (last, below_last), all] = &bounds[..] else {
            panic!("{bounds:?}");
        };
        assert_eq!((*last, *below_last), (274.877906943, 8.0));
        assert_eq!(*all, (f64::INFINITY, 13.0));
        let above = bounds[1..].iter().map(|(bound, _)| bound);
        for ((below, _), above) in most.iter().zip(above) {
            assert!((above / below - factor).abs() < 0.01, "{below} to {above}");
        }
    }
}

#[test]
fn nothing_is_said_twice_and_all_of_a_family_stands_together() {
    let page = page(&mut book(&[5, 2]));
    assert!(page.ends_with("# EOF\n"));
    let mut families = BTreeSet::new();
    let mut series = BTreeSet::new();
    let mut family = String::new();
    for line in page.lines().filter(|line| *line != "# EOF") {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            family = name.to_owned();
            assert!(families.insert(family.clone()), "{name} is there twice");
            assert!(help.ends_with('.') && !help.contains(['\\', '"']), "{help}");
        } else if let Some(rest) = line.strip_prefix("# ") {
            let name = rest.split(' ').nth(1).unwrap();
            assert_eq!(name, family);
        } else {
            let (name, _) = line.rsplit_once(' ').unwrap();
            assert!(name.starts_with(&family), "{line} is below {family}");
            assert!(series.insert(name.to_owned()), "{name} is there twice");
        }
    }
}

#[test]
fn a_page_of_the_same_snapshot_is_the_same_page() {
    let make = || book(&[3; 20]);
    assert_eq!(page(&mut make()), page(&mut make()));
    let mut exporter = Exporter::default();
    let mut again = || exporter.page(facts(&mut make()), Format::OpenMetrics);
    assert_eq!(again(), again());
}

#[test]
fn a_label_that_could_break_a_line_is_escaped() {
    let mut book = book(&[]);
    let mut actors = facts(&mut book).snapshot.actors().to_vec();
    actors[0].actor = "a\"} 1\ndataflow_nodes 7\\".to_owned();
    book.actors(actors);
    let page = page(&mut book);
    assert!(page.contains(r#"dataflow_actors{actor="a\"} 1\ndataflow_nodes 7\\"} 2"#));
    assert!(!page.contains("\ndataflow_nodes 7"));
}

#[test]
fn numbers_that_have_come_to_their_end_are_written_all_the_same() {
    let mut said = counted(0);
    said.histograms.handling.buckets = [u64::MAX; 48];
    said.histograms.handling.sum_ns = u64::MAX;
    said.counters.bytes = Counter::new(u64::MAX);
    let mut book = empty();
    let run = add_run(&mut book, 1);
    for edge in 0..2 {
        let key = add_edge(&mut book, run, edge);
        book.edge_read(key, &said).unwrap();
    }
    let page = page(&mut book);
    let count = value(&page, "dataflow_message_handling_seconds_count");
    let last = value(
        &page,
        r#"dataflow_message_handling_seconds_bucket{le="+Inf"}"#,
    );
    assert_eq!(count, last);
    // As much as is believed.
    assert!(count > 1e16, "{count}");
    assert!(value(&page, "dataflow_sent_bytes_total") > 1e13);
}

#[test]
fn the_older_format_has_the_same_samples_and_calls_counters_by_their_whole_names() {
    let make = || facts(&mut book(&[5]));
    let mut exporter = Exporter::default();
    let new = exporter.page(make(), Format::OpenMetrics).unwrap();
    let old = exporter.page(make(), Format::Classic).unwrap();
    let samples = |page: &str| -> Vec<String> {
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(samples(&new), samples(&old));
    assert!(old.contains("# TYPE dataflow_messages_sent_total counter\n"));
    assert!(old.contains("# TYPE dataflow_build_info gauge\n"));
    assert!(old.contains("# TYPE dataflow_nodes gauge\n"));
    assert!(!old.contains("# EOF") && !old.contains("# UNIT"));
}
