//! The file of peers is saved while the agent runs: with real files, and so with a real clock.

use std::cell::RefCell;
use std::fs;
use std::future::Future;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use dataflow_descriptor::check_peers_file;
use dataflow_ids::PeerState::{Degraded, Healthy};
use dataflow_runtime::actor::{Seen, What};
use dataflow_runtime::agent::{AgentEvent, FollowStart, PeersFile};
use dataflow_testkit::peers::Ether;
use tokio::time::Instant;

use super::support::{Running, address, agent, entry, file, id, key, start, start_with, text};

/// Longer than anything takes on a machine that is busy with something else.
const AT_MOST: Duration = Duration::from_secs(60);

/// An agent whose file is followed, and two peers that are healthy.
struct Stage {
    folder: tempfile::TempDir,
    file: PathBuf,
    ether: Ether,
    ann: Running,
    others: Vec<Running>,
    _follows: PeersFile,
}

fn run<T>(future: impl Future<Output = T>) -> T {
    actix_rt::System::new().block_on(future)
}

impl Stage {
    /// The file is where `place` puts it.
    async fn new(place: impl FnOnce(&Path, &str) -> PathBuf) -> Stage {
        let folder = tempfile::tempdir().expect("a folder");
        let file_at = place(folder.path(), &usual());
        let ether = Ether::new(1);
        let peers = check_peers_file(&file_at).peers.expect("it is right");
        let (ann, events) = start_with(&ether, agent("ann"), peers.clone());
        let others = ["bob", "cleo"].map(|name| start(&ether, agent(name), file(&["ann", name])));
        let follows = PeersFile::follow(FollowStart {
            file: file_at.clone(),
            this: id("ann"),
            peers,
            handle: ann.handle.clone(),
            doubts: Box::new(|_| Vec::new()),
            events,
        });
        let stage = Stage {
            folder,
            file: file_at,
            ether,
            ann,
            others: others.into(),
            _follows: follows,
        };
        for peer in ["bob", "cleo"] {
            stage.until(|ann| ann.state(peer) == Healthy).await;
        }
        stage.ann.told();
        stage
    }

    /// In a folder of its own.
    async fn plain() -> Stage {
        Stage::new(|folder, text| {
            let file = folder.join("peers.yaml");
            fs::write(&file, text).expect("written");
            file
        })
        .await
    }

    async fn until(&self, is_so: impl Fn(&Running) -> bool) {
        let began = Instant::now();
        while !is_so(&self.ann) {
            let status = self.ann.handle.status();
            assert!(began.elapsed() < AT_MOST, "{status:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits for the next word about the file.
    async fn next_word(&self) -> AgentEvent {
        let began = Instant::now();
        loop {
            let told = self.ann.told().into_iter();
            let mut words = told.filter(|event| {
                matches!(
                    event,
                    AgentEvent::Reloaded { .. } | AgentEvent::ReloadRefused { .. }
                )
            });
            if let Some(word) = words.next() {
                assert_eq!(words.next(), None, "one word for one save");
                return word;
            }
            assert!(began.elapsed() < AT_MOST);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Saves as most editors do: beside it, and renamed.
    fn save(&self, text: &str) {
        save_by_rename(&self.file, text);
    }

    /// What the actor of a peer hears from now on, but for its probes.
    fn heard(&self, peer: &str) -> Heard {
        let name = format!("peer {peer}");
        let actors = self.ann.handle.actors();
        let mut actors = actors.iter();
        let actor = actors.find(|actor| actor.name() == name);
        let heard = Heard::default();
        let hears = Rc::clone(&heard);
        let watcher = move |seen: &Seen<'_>| {
            if seen.what == What::Handled && !["Wake", "Answered"].contains(&seen.kind) {
                hears.borrow_mut().push(seen.kind);
            }
        };
        actor.expect("it is watched").watch(Box::new(watcher));
        heard
    }
}

/// Kinds of messages.
type Heard = Rc<RefCell<Vec<&'static str>>>;

fn save_by_rename(file: &Path, text: &str) {
    let beside = file.with_extension("new");
    fs::write(&beside, text).expect("written");
    fs::rename(&beside, file).expect("renamed");
}

/// A file with all three.
fn usual() -> String {
    text(&["ann", "bob", "cleo"].map(entry))
}

fn reloaded(added: &[&str], removed: &[&str], changed: &[&str]) -> AgentEvent {
    let ids = |names: &[&str]| names.iter().map(|name| id(name)).collect();
    AgentEvent::Reloaded {
        added: ids(added),
        removed: ids(removed),
        changed: ids(changed),
    }
}

#[test]
fn a_peer_that_is_added_removed_or_changed_is_touched_and_no_other() {
    run(async {
        let stage = Stage::plain().await;
        let dora = start(&stage.ether, agent("dora"), file(&["ann", "dora"]));
        let of_cleo = stage.heard("cleo");

        stage.save(&(usual() + &entry("dora")));
        assert_eq!(stage.next_word().await, reloaded(&["dora"], &[], &[]));
        stage.until(|ann| ann.state("dora") == Healthy).await;

        stage.save(&usual());
        assert_eq!(stage.next_word().await, reloaded(&[], &["dora"], &[]));
        let names: Vec<_> = stage.ann.handle.status().peers;
        assert_eq!(names.len(), 2, "{names:?}");
        let began = Instant::now();
        while dora.state("ann") == Healthy {
            assert!(began.elapsed() < AT_MOST, "it is told at once");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }

        // What it is said to have: nobody is told, and it is shown.
        let of_bob = stage.heard("bob");
        let capable = usual().replace("id: bob,", "id: bob, capabilities: { cpus: 64 },");
        stage.save(&capable);
        assert_eq!(stage.next_word().await, reloaded(&[], &[], &["bob"]));
        assert_eq!(stage.ann.sees("bob").declared.cpus, Some(64));
        assert_eq!(*of_bob.borrow(), [""; 0]);
        assert_eq!(stage.ann.state("bob"), Healthy);

        // Another address, where nobody is: dialled there, not found, and said so.
        let moved = usual().replace("10.0.0.2:7000", "10.0.0.2:7009");
        stage.save(&moved);
        assert_eq!(stage.next_word().await, reloaded(&[], &[], &["bob"]));
        assert_eq!(stage.ann.sees("bob").address.port(), 7009);

        // Another key: the one that comes is not believed any more.
        let wrong = usual().replace(&key("bob").to_string(), &key("dora").to_string());
        stage.save(&wrong);
        assert_eq!(stage.next_word().await, reloaded(&[], &[], &["bob"]));
        stage
            .until(|ann| ann.sees("bob").because.contains(&key("bob").to_string()))
            .await;

        stage.save(&usual());
        assert_eq!(stage.next_word().await, reloaded(&[], &[], &["bob"]));
        stage.until(|ann| ann.state("bob") == Healthy).await;
        assert!(of_bob.borrow().contains(&"Configured"), "{of_bob:?}");
        assert_eq!(*of_cleo.borrow(), [""; 0]);
        assert_eq!(stage.ann.sees("cleo").transitions, 1);
        assert_eq!(stage.others[1].sees("ann").transitions, 1);
    });
}

#[test]
fn a_file_that_is_truncated_and_written_piece_by_piece_is_read_when_it_is_whole() {
    run(async {
        let stage = Stage::plain().await;
        let whole = usual() + &entry("dora");
        let mut opened = fs::File::create(&stage.file).expect("truncated");
        // Empty for a moment, and then cut off in the middle of a word: both are wrong, and neither is the last.
        for piece in whole.as_bytes().chunks(whole.len() / 5) {
            tokio::time::sleep(Duration::from_millis(20)).await;
            opened.write_all(piece).expect("written");
        }
        assert_eq!(stage.next_word().await, reloaded(&["dora"], &[], &[]));
        assert_eq!(stage.ann.handle.status().file_problem, None);
    });
}

#[test]
fn a_symlink_that_leads_to_another_file_is_followed_also_when_it_is_one_of_a_folder() {
    run(async {
        let stage = Stage::new(|folder, text| {
            // As a cluster's configuration is mounted.
            fs::create_dir(folder.join("..1")).expect("made");
            fs::write(folder.join("..1/peers.yaml"), text).expect("written");
            symlink("..1", folder.join("..data")).expect("linked");
            symlink("..data/peers.yaml", folder.join("peers.yaml")).expect("linked");
            folder.join("peers.yaml")
        })
        .await;
        let folder = stage.folder.path();
        let replace = |link: &str, target: &str| {
            symlink(target, folder.join("link.new")).expect("linked");
            fs::rename(folder.join("link.new"), folder.join(link)).expect("renamed");
        };
        fs::create_dir(folder.join("..2")).expect("made");
        fs::write(folder.join("..2/peers.yaml"), usual() + &entry("dora")).expect("written");
        replace("..data", "..2");
        assert_eq!(stage.next_word().await, reloaded(&["dora"], &[], &[]));
        // What it leads to is watched now.
        fs::write(folder.join("..2/peers.yaml"), usual()).expect("written");
        assert_eq!(stage.next_word().await, reloaded(&[], &["dora"], &[]));
        // And an editor that saves through the symlink.
        fs::write(&stage.file, usual() + &entry("dora")).expect("written");
        assert_eq!(stage.next_word().await, reloaded(&["dora"], &[], &[]));
        let elsewhere = tempfile::tempdir().expect("a folder");
        fs::write(elsewhere.path().join("mine.yaml"), usual()).expect("written");
        replace(
            "peers.yaml",
            elsewhere.path().join("mine.yaml").to_str().expect("text"),
        );
        assert_eq!(stage.next_word().await, reloaded(&[], &["dora"], &[]));
        save_by_rename(
            &elsewhere.path().join("mine.yaml"),
            &(usual() + &entry("dora")),
        );
        assert_eq!(stage.next_word().await, reloaded(&["dora"], &[], &[]));
    });
}

#[test]
fn a_hundred_saves_a_second_settle_to_the_last_and_are_read_a_few_times() {
    run(async {
        let stage = Stage::plain().await;
        let began = Instant::now();
        const SAVES: u16 = 200;
        for save in 1..=SAVES {
            let due = began + Duration::from_millis(10) * u32::from(save);
            tokio::time::sleep_until(due).await;
            let moved = usual().replace("10.0.0.2:7000", &format!("10.0.0.2:{}", 8000 + save));
            match save % 2 {
                0 => stage.save(&moved),
                _ => fs::write(&stage.file, moved).expect("written"),
            }
        }
        let saved_for = began.elapsed();
        stage
            .until(|ann| ann.sees("bob").address.port() == 8000 + SAVES)
            .await;
        let told = stage.ann.told();
        let count = |is_it: fn(&&AgentEvent) -> bool| told.iter().filter(is_it).count();
        let reloads = count(|event| matches!(event, AgentEvent::Reloaded { .. }));
        let refused = count(|event| matches!(event, AgentEvent::ReloadRefused { .. }));
        // At most once a second, once at the end, and once where the machine was busy for longer than it takes to settle.
        let most = saved_for.as_millis() as usize / 200 + 2;
        assert!((1..=most).contains(&reloads), "{reloads} in {saved_for:?}");
        assert_eq!(refused, 0, "{told:?}");
        assert_eq!(stage.ann.state("cleo"), Healthy);
    });
}

#[test]
fn a_file_that_everybody_may_write_changes_nothing_until_its_mode_is_mended() {
    run(async {
        let stage = Stage::plain().await;
        let beside = stage.file.with_extension("new");
        fs::write(&beside, usual() + &entry("dora")).expect("written");
        let mode = fs::Permissions::from_mode;
        fs::set_permissions(&beside, mode(0o666)).expect("ours");
        fs::rename(&beside, &stage.file).expect("renamed");
        let AgentEvent::ReloadRefused { report } = stage.next_word().await else {
            panic!("anybody could add a key");
        };
        assert!(report.contains("everybody may write"), "{report}");
        assert_eq!(stage.ann.handle.status().peers.len(), 2);
        fs::set_permissions(&stage.file, mode(0o644)).expect("ours");
        assert_eq!(stage.next_word().await, reloaded(&["dora"], &[], &[]));
        assert_eq!(stage.ann.handle.status().file_problem, None);
    });
}

#[test]
fn a_broken_file_changes_nothing_and_is_told_once_with_its_lines_until_it_is_right_again() {
    run(async {
        let stage = Stage::plain().await;
        let broken = usual().replace("10.0.0.3:7000", "10.0.0.3:700000") + "colour: blue\n";
        stage.save(&broken);
        let AgentEvent::ReloadRefused { report } = stage.next_word().await else {
            panic!("it is wrong");
        };
        let file = stage.file.display();
        assert!(report.contains(&format!("{file}:4:")), "{report}");
        assert!(
            report.contains(&format!("{file}:5:")),
            "all of them: {report}"
        );
        let status = stage.ann.handle.status();
        assert_eq!(status.file_problem, Some(report));
        assert!(status.peers.iter().all(|peer| peer.state == Healthy));
        assert_eq!(status.peers[1].address, address("cleo"));

        // The same again, then wrong in another way, then right: two words.
        stage.save(&broken);
        stage.save(&usual().replace("id: ann", "id: zoe"));
        let AgentEvent::ReloadRefused { report } = stage.next_word().await else {
            panic!("it is wrong");
        };
        assert!(report.contains("the file has no peer `ann`"), "{report}");
        stage.save(&usual());
        assert_eq!(stage.next_word().await, reloaded(&[], &[], &[]));
        let status = stage.ann.handle.status();
        assert_eq!(status.file_problem, None);
        let transitions = status.peers.iter().map(|peer| peer.transitions);
        assert_eq!(transitions.max(), Some(1), "nobody was touched");
    });
}

#[test]
fn a_file_that_goes_is_told_and_found_again_also_in_a_folder_made_anew() {
    run(async {
        let stage = Stage::new(|folder, text| {
            let folder = folder.join("etc");
            fs::create_dir(&folder).expect("made");
            fs::write(folder.join("peers.yaml"), text).expect("written");
            folder.join("peers.yaml")
        })
        .await;
        let folder = stage.file.parent().expect("its folder").to_owned();
        fs::remove_dir_all(&folder).expect("removed");
        let AgentEvent::ReloadRefused { report } = stage.next_word().await else {
            panic!("it is gone");
        };
        assert!(report.contains("no such file"), "{report}");
        fs::create_dir(&folder).expect("made");
        fs::write(&stage.file, usual() + &entry("dora")).expect("written");
        assert_eq!(stage.next_word().await, reloaded(&["dora"], &[], &[]));
        assert_eq!(stage.ann.state("dora"), Degraded);
        stage.save(&usual());
        assert_eq!(stage.next_word().await, reloaded(&[], &["dora"], &[]));
    });
}
