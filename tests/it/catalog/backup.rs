//! Backup and restore as docs/catalog.md and docs/privacy.md say: what was erased since the backup stays erased.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use mediamill::config::Config;
use mediamill::events::Manifest;
use mediamill::roles::catalog::index::{Filter, MediaState};
use mediamill::roles::catalog::{Rebuild, hasher};
use mediamill::roles::privacy::{Conduct, Swept, sweep};
use mediamill::store::Store;
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

use super::{Empty, at, both};
use crate::privacy::steps::{normalized, world};
use crate::privacy::world::fed;
use crate::support::cmd::{Dir, Run};
use crate::support::postgres;

const PHONE: &str = "+15550100";

/// A copy of an index in a new database, made by the means that the documents name.
async fn restored(index: &Empty) -> Empty {
    let dir = tempfile::tempdir().expect("a directory");
    if index.name == "sqlite" {
        let copy = dir.path().join("copy.db").display().to_string();
        let mut connection = SqliteConnection::connect(&index.url).await.expect("opened");
        let sql = format!("VACUUM INTO '{copy}'");
        sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.expect("copied");
        connection.close().await.expect("closed");
        return Empty::at("sqlite", format!("sqlite://{copy}"), dir).await;
    }
    let server = postgres::server().expect("it has the index");
    let url = server.database();
    server.copy(&index.url, &url);
    Empty::at("postgres", url, dir).await
}

async fn rebuild(config: &Config, store: &Store, into: &Empty) {
    let hasher = hasher(config);
    let rebuild = Rebuild { store, index: Arc::clone(&into.index), hasher: &hasher };
    assert_eq!(rebuild.run(&|_| ()).await.expect("rebuilt").unreadable, 0);
}

/// State of the media that was erased, whether it has a certificate, and how many media a search for the words of both finds.
async fn found(index: &Empty) -> (MediaState, bool, usize) {
    let row = index.index.get("acme", "gone").await.expect("an answer").expect("a row");
    let text = Some("caption".to_owned());
    let filter = Filter { tenant: "acme".to_owned(), text, now: at(0), ..Filter::default() };
    let rows = index.index.find(&filter, None, 10).await.expect("an answer");
    (row.state, row.certificate.is_some(), rows.len())
}

fn copy(from: &Path, to: &Path) {
    Run::of(Command::new("cp").arg("-a").arg("--").arg(from).arg(to)).exits(0);
}

async fn swept(config: &Config, store: &Store, dry: bool) -> Swept {
    let conduct = Conduct::new(config, store, None, "test").expect("a key");
    Box::pin(sweep(&conduct, dry)).await.expect("swept")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_erased_after_a_backup_stays_erased_when_it_is_restored() {
    for index in both().await {
        let dir = Dir::new();
        let (config, command) = world(&dir);
        let (root, before) = (dir.path().join("store"), dir.path().join("before"));
        normalized(&root, "gone", PHONE, "a caption");
        normalized(&root, "kept", "+15550101", "another caption");
        let store = Store::connect(&config.store).await.expect("a store");
        rebuild(&config, &store, &index).await;
        copy(&root, &before);
        let backup = restored(&index).await;
        fed(command(&["erase", "--tenant", "acme", "--offline"]), &format!("phone={PHONE}\n")).exits(0);

        // The database alone is from before: a rebuild brings the erasure in.
        assert_eq!(found(&backup).await, (MediaState::Normalized, false, 2), "{}", index.name);
        rebuild(&config, &store, &backup).await;
        assert_eq!(found(&backup).await, (MediaState::Erased, true, 1), "{}", index.name);

        // The store is from before as well, below the `.catalog/` of today.
        let today = dir.path().join("today");
        copy(&root.join(".catalog"), &today);
        std::fs::remove_dir_all(&root).expect("lost");
        copy(&before, &root);
        drop(std::fs::remove_dir_all(root.join(".catalog")));
        copy(&today, &root.join(".catalog"));
        let mut other = config.clone();
        other.privacy.key = "another key that is long enough".to_owned().into();
        assert_eq!(swept(&other, &store, true).await.due, 0, "nobody is known under another key");
        assert_eq!(swept(&config, &store, false).await.erased, 1);
        let manifest = std::fs::read(root.join("acme/gone/manifest.json")).expect("a tombstone");
        assert!(Manifest::read(&manifest).is_err() && !root.join("acme/gone/ab/original.pdf").exists());
        let again = restored(&backup).await;
        rebuild(&config, &store, &again).await;
        assert_eq!(found(&again).await, (MediaState::Erased, true, 1), "{}", index.name);
        let kept = again.index.get("acme", "kept").await.expect("an answer").expect("a row");
        assert_eq!((kept.state, kept.caption.as_deref()), (MediaState::Normalized, Some("another caption")));
    }
}
