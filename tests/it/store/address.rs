//! `store.url`: one reading of it for every command.

use mediamill::config::load;
use mediamill::store::Store;

use crate::support::cmd::Dir;

/// An address that no backend serves ends every command that needs a store before it does anything, and is never taken for
/// another one.
#[test]
fn a_store_that_is_not_built_in_is_refused_by_name() {
    let dir = Dir::new();
    dir.write("f.ogg", "x");
    for (url, words) in [
        #[cfg(not(feature = "gcp"))]
        ("gs://bucket/prefix", "store.url: gs:// (Google Cloud Storage) is not built into this program"),
        #[cfg(not(feature = "azure"))]
        ("az://container/prefix", "store.url: az:// (Azure Blob Storage) is not built into this program"),
        ("gs://", "store.url: gs://: needs a bucket"),
        ("ftp://host/x", "store.url: no store has the scheme \"ftp\""),
        ("/var/lib/mediamill", "store.url: is not a URL"),
    ] {
        let setting = format!("store.url={url}");
        for command in [&["worker"][..], &["publish", "f.ogg"]] {
            let run = dir.run(command.iter().chain(&["--set", &setting])).exits(2);
            assert!(run.stderr.contains(words), "{command:?}: {}", run.stderr);
        }
        let found = dir.run(["doctor", "--format", "json", "--set", &setting]).exits(1).json_lines();
        let text = found[0]["found"].as_str().expect("text");
        assert!(found[0]["what"] == "config" && text.contains(words), "{found:?}");
    }
}

#[tokio::test]
async fn a_store_reads_its_address_as_the_configuration_check_does() {
    let mut config = load(None, [], &[]).expect("the defaults").store;
    for url in ["gs://", "s3://", "file:///", "nonsense"] {
        url.clone_into(&mut config.url);
        let of_store = Store::connect(&config).await.expect_err(url).to_string();
        let of_check = load(None, [], &[("store.url".to_owned(), url.to_owned())]).expect_err(url).to_string();
        assert!(of_store.starts_with("store.url: ") && of_check.contains(&of_store), "{of_store} / {of_check}");
    }
}
