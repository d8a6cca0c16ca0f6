//! What interrupts the catalogue costs nothing: kills within batches, a database that goes away, a full disk.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use mediamill::roles::catalog::index::Index;
use mediamill::roles::catalog::open_index_to_read;

use super::role::{rejected, transcribed, until};
use crate::support::bus::{Letter, block_on};
use crate::support::cmd::Run;
use crate::support::rig::Rig;
use crate::support::say::no_service;
use crate::support::{keeper, postgres, rabbit};

/// Media, of which every fourth has a transcript as well.
const MEDIA: usize = 1_500;
const KILLS: usize = 10;

fn letters() -> Vec<Letter> {
    let of = |n: usize| {
        let id = format!("m{n}");
        let transcript = n.is_multiple_of(4).then(|| transcribed(&id));
        std::iter::once(rejected(&id)).chain(transcript)
    };
    (0..MEDIA).flat_map(of).collect()
}

/// A catalogue in a process of its own.
struct Running(Child);

impl Running {
    fn start(rig: &Rig) -> Self {
        let mut command = rig.command(&["catalog"]);
        let log = std::fs::File::options().create(true).append(true).open(rig.dir.path().join("catalog.log"));
        command.stdout(Stdio::null()).stderr(log.expect("a log"));
        Self(keeper::spawn(&mut command))
    }

    fn killed(mut self) {
        keeper::end(&mut self.0);
    }
}

fn rig(url: &str) -> Option<Rig> {
    let mut rig = Rig::deaf(rabbit::calm()?);
    rig.set("CATALOG_URL", url);
    rig.set("CATALOG_LISTEN", "127.0.0.1:0");
    // Small batches: more of their steps are between two kills.
    rig.set("CATALOG_BATCH", 50);
    Some(rig)
}

fn index(rig: &Rig) -> Arc<dyn Index> {
    block_on(open_index_to_read(&rig.config())).expect("opened")
}

/// Rows with an outcome. Nothing where the database does not answer.
fn rows(index: &dyn Index) -> Option<u64> {
    let counts = block_on(index.counts()).ok()?;
    Some(counts.into_iter().filter(|(state, _)| state == "rejected").map(|(_, count)| count).sum())
}

/// Every media has its row, every transcript is there, and no message is left or thrown away.
fn nothing_is_lost(rig: &Rig) {
    let index = index(rig);
    until("every row", || rows(&*index) == u64::try_from(MEDIA).ok());
    until("an empty queue", || rig.bus.depth("catalog").ready == 0);
    for n in (0..MEDIA).step_by(4) {
        let row = block_on(index.get("acme", &format!("m{n}"))).expect("an answer").expect("a row");
        assert_eq!(row.transcript.as_deref(), Some("spoken words"), "m{n}");
    }
    assert_eq!(rig.bus.depth("catalog.dead").ready, 0);
}

fn survives_kills(url: &str) {
    let Some(rig) = rig(url) else { return };
    let mut catalog = Running::start(&rig);
    until("a consumer", || rig.bus.depth("catalog").consumers > 0);
    rig.bus.publish_all(&letters());
    for kill in 1..=KILLS {
        let index = index(&rig);
        // At another point of a batch each time, as rows appear with its commit.
        let least = u64::try_from(kill * MEDIA / (KILLS + 2)).ok();
        until("rows", || rows(&*index) >= least);
        std::thread::sleep(Duration::from_millis(u64::try_from(kill * 3).expect("small")));
        drop(index);
        catalog.killed();
        catalog = Running::start(&rig);
    }
    nothing_is_lost(&rig);
    catalog.killed();
}

#[test]
fn kills_within_batches_lose_nothing_with_sqlite() {
    let dir = keeper::new_dir();
    survives_kills(&format!("sqlite://{}/catalog.db", dir.path().display()));
}

#[test]
fn kills_within_batches_lose_nothing_with_postgres() {
    let Some(server) = postgres::server() else { return };
    survives_kills(&server.database());
}

/// The server of all tests goes on: what a restart does to this database's clients is done to them.
#[test]
fn a_restart_of_postgres_loses_nothing() {
    away_for_a_while(postgres::Postgres::refuses);
}

/// It refuses everything, by a code that does not pass by itself (3D000): that is no message's fault.
#[test]
fn a_database_that_is_gone_for_a_while_loses_nothing() {
    away_for_a_while(postgres::Postgres::hides);
}

fn away_for_a_while(away: fn(&postgres::Postgres, &str, bool)) {
    let Some(server) = postgres::server() else { return };
    let url = server.database();
    let Some(rig) = rig(&url) else { return };
    let catalog = Running::start(&rig);
    until("a consumer", || rig.bus.depth("catalog").consumers > 0);
    rig.bus.publish_all(&letters());
    for least in [200, 700] {
        until("rows", || rows(&*index(&rig)) >= Some(least));
        away(server, &url, true);
        std::thread::sleep(Duration::from_secs(2));
        away(server, &url, false);
    }
    nothing_is_lost(&rig);
    catalog.killed();
}

/// A file system of a few pages.
struct Small(PathBuf);

impl Small {
    fn mount(path: &Path) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            no_service("a file system can be mounted by root only");
            return None;
        }
        std::fs::create_dir(path).expect("a directory");
        Run::of(Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(path)).exits(0);
        Some(Self(path.to_owned()))
    }

    fn grows(&self) {
        Run::of(Command::new("mount").args(["-o", "remount,size=64m"]).arg(&self.0)).exits(0);
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

#[test]
fn a_full_disk_loses_nothing() {
    let dir = keeper::new_dir();
    let Some(small) = Small::mount(&dir.path().join("small")) else { return };
    let Some(rig) = rig(&format!("sqlite://{}/catalog.db", small.0.display())) else { return };
    let catalog = Running::start(&rig);
    until("a consumer", || rig.bus.depth("catalog").consumers > 0);
    rig.bus.publish_all(&letters());
    let log = || std::fs::read_to_string(rig.dir.path().join("catalog.log")).unwrap_or_default();
    until("a full disk", || log().contains("the database does not answer"));
    assert!(rows(&*index(&rig)) < u64::try_from(MEDIA).ok(), "it was full before all was stored");
    small.grows();
    nothing_is_lost(&rig);
    catalog.killed();
}
