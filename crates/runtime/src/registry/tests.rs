//! What must be true of names, sockets and what killed runs leave.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use super::*;

fn name(text: &str) -> DataflowName {
    DataflowName::new(text).unwrap()
}

struct Ground {
    _place: tempfile::TempDir,
    registry: Registry,
    folder: PathBuf,
}

impl Ground {
    fn new() -> Ground {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().canonicalize().unwrap();
        Ground {
            registry: Registry::at(folder.join("registry")),
            _place: place,
            folder,
        }
    }

    fn project(&self, name: &str) -> PathBuf {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("dataflow.yml"), "").unwrap();
        folder
    }

    fn claim(&self, flow: &str, folder: &Path) -> Result<Claim, RegistryError> {
        let file = folder.join("dataflow.yml");
        self.registry.claim(&name(flow), "run", &file, folder)
    }
}

#[test]
fn two_projects_never_see_each_other() {
    let ground = Ground::new();
    let (a, b) = (ground.project("a"), ground.project("b"));
    let _a = ground.claim("flow", &a).unwrap();
    let _b = ground.claim("flow", &b).unwrap();
    let found = ground.registry.find(&a, Some("flow")).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].folder, a);
    assert_eq!(
        ground.registry.find(&b, Some("dataflow.yml")).unwrap()[0].folder,
        b
    );
    assert_eq!(ground.registry.find(&ground.folder, None).unwrap().len(), 2);
    assert!(ground.registry.find(&a, Some("other")).unwrap().is_empty());
}

#[test]
fn a_second_claim_of_the_same_name_says_who_runs_it() {
    let ground = Ground::new();
    let project = ground.project("a");
    let first = ground.claim("flow", &project).unwrap();
    match ground.claim("flow", &project) {
        Err(RegistryError::RunsAlready(run)) => assert_eq!(run.pid, std::process::id()),
        other => panic!("{other:?}"),
    }
    drop(first);
    ground.claim("flow", &project).unwrap();
}

#[test]
fn what_a_killed_run_left_is_removed_and_its_name_is_free() {
    let ground = Ground::new();
    let project = ground.project("a");
    let claim = ground.claim("flow", &project).unwrap();
    let (entry, socket) = (claim.entry.clone(), claim.socket.clone());
    let text = fs::read(&entry).unwrap();
    drop(claim);
    // As SIGKILL leaves it: both files, and no lock.
    fs::write(&entry, &text).unwrap();
    drop(UnixListener::bind(&socket).unwrap());
    ground.claim("flow", &project).unwrap();

    fs::write(&entry, &text).unwrap();
    drop(UnixListener::bind(&socket).unwrap());
    assert!(ground.registry.find(&project, None).unwrap().is_empty());
    assert!(!entry.exists() && !socket.exists());
}

#[test]
fn a_socket_works_however_long_its_path_is() {
    let ground = Ground::new();
    let long = ground.folder.join("x".repeat(120));
    let registry = Registry::at(&long);
    let project = ground.project("a");
    let flow = name(&"n".repeat(64));
    let _claim = registry
        .claim(&flow, "run", &project.join("dataflow.yml"), &project)
        .unwrap();
    let found = registry.find(&project, None).unwrap();
    found[0].connect().unwrap();
    let mode = fs::metadata(&found[0].socket).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_folder_that_others_may_enter_is_refused() {
    let ground = Ground::new();
    let open = ground.folder.join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let project = ground.project("a");
    let refused = Registry::at(&open).claim(
        &name("flow"),
        "run",
        &project.join("dataflow.yml"),
        &project,
    );
    assert!(matches!(refused, Err(RegistryError::NotPrivate { .. })));
}

#[test]
fn nothing_is_found_in_a_folder_that_others_may_write_into() {
    let ground = Ground::new();
    let project = ground.project("a");
    let claim = ground.claim("flow", &project).unwrap();
    let open = |path: &Path| {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
        let found = ground.registry.find(&project, None);
        assert!(matches!(found, Err(RegistryError::NotPrivate { .. })));
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(ground.registry.find(&project, None).unwrap().len(), 1);
    };
    open(claim.entry.parent().unwrap());
    open(&ground.folder.join("registry"));
}

#[test]
fn one_agent_of_a_user_runs_at_a_time_and_no_project_lists_it() {
    let ground = Ground::new();
    let this = dataflow_ids::PeerId::new("gpu-a").unwrap();
    let file = ground.folder.join("peers.yaml");
    fs::write(&file, "").unwrap();
    assert_eq!(ground.registry.agent().unwrap(), None);
    let claim = ground.registry.claim_agent(&this, &file).unwrap();
    let found = ground.registry.agent().unwrap().unwrap();
    assert_eq!((&found.this, &found.file), (&this, &file));
    assert_eq!(found.pid, std::process::id());
    found.connect().unwrap();
    match ground.registry.claim_agent(&this, &file) {
        Err(RegistryError::AgentRunsAlready(other)) => assert_eq!(*other, found),
        other => panic!("{other:?}"),
    }
    // Who looks for dataflows finds none there, and takes nothing of it away.
    assert!(
        ground
            .registry
            .find(Path::new("/"), None)
            .unwrap()
            .is_empty()
    );
    assert_eq!(ground.registry.agent().unwrap().as_ref(), Some(&found));
    drop(claim);
    assert_eq!(ground.registry.agent().unwrap(), None);
    drop(ground.registry.claim_agent(&this, &file).unwrap());
}

#[test]
fn what_a_killed_agent_leaves_is_cleared_up() {
    let ground = Ground::new();
    let this = dataflow_ids::PeerId::new("gpu-a").unwrap();
    let claim = ground.registry.claim_agent(&this, Path::new("/")).unwrap();
    let socket = ground.registry.agent().unwrap().unwrap().socket;
    let text = fs::read(socket.with_extension("json")).unwrap();
    drop(claim);
    // As the kernel leaves it: everything but the lock.
    fs::write(socket.with_extension("json"), text).unwrap();
    fs::write(&socket, "").unwrap();
    assert_eq!(ground.registry.agent().unwrap(), None);
    assert!(!socket.exists());
}

#[test]
fn a_run_lives_until_its_name_is_given_back_and_another_of_that_name_is_not_it() {
    let ground = Ground::new();
    let project = ground.project("a");
    let claim = ground.claim("flow", &project).unwrap();
    let found = ground.registry.find(&project, None).unwrap().remove(0);
    assert!(found.lives().unwrap());
    drop(claim);
    assert!(!found.lives().unwrap());
    let file = project.join("dataflow.yml");
    let _next = ground
        .registry
        .claim(&name("flow"), "run-2", &file, &project)
        .unwrap();
    assert!(!found.lives().unwrap());
}
