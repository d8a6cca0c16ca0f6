//! Capability links and pages.

use jiff::Timestamp;
use mediamill::events::Role;
use mediamill::links::Links;
use mediamill::roles::catalog::index::Change;
use serde_json::json;

use super::{Desk, token};
use crate::catalog::at;

/// The path of a link below the catalogue's address.
pub(super) fn path(link: &str) -> String {
    link.strip_prefix("https://media.example.test/x").expect("a link").to_owned()
}

fn links(desk: &Desk) -> Links {
    Links::new(&desk.config.links).expect("configured")
}

#[tokio::test]
async fn a_link_opens_its_media_until_it_is_revoked() {
    let desk = Desk::open(&[]).await;
    let media = links(&desk).media("acme", "m", "salesforce", Timestamp::now());
    let (page, file) = (path(media.page()), path(&media.object(Role::Playback, "x/audio.mp3")));
    assert_eq!(desk.ask("GET", &page, &[]).await.status, 200);
    assert_eq!(desk.ask("GET", &file, &[("range", "bytes=0-9")]).await.status, 206);
    assert_eq!(desk.ask("GET", &file.replace("playback.mp3", "original.ogg"), &[]).await.status, 200);
    for wrong in [
        file.replace("/acme/m/", "/acme/old/"),
        file.replace("/acme/m/", "/globex/theirs/"),
        file.replace("salesforce", "hubspot"),
        page.replacen("/m/acme/m/", "/k/acme/m/", 1),
    ] {
        assert_eq!(desk.ask("GET", &wrong, &[]).await.status, 404, "{wrong}");
    }
    let revoke = async |roles: &[&str], link: &str| {
        let bearer = token(&json!({ "roles": roles }));
        let body = json!({ "link": link }).to_string();
        let head = format!(
            "POST /v1/revocations HTTP/1.1\r\nhost: c\r\nconnection: close\r\nauthorization: Bearer {bearer}\r\n"
        );
        desk.raw(&format!("{head}content-length: {}\r\n\r\n{body}", body.len())).await
    };
    assert_eq!(revoke(&["agent"], media.page()).await.status, 403);
    assert_eq!(revoke(&["lead"], "https://media.example.test/x/v1/media/acme/m").await.status, 400);
    assert_eq!(revoke(&["lead"], &media.page().replace("salesforce", "hubspot")).await.status, 400);
    let revoked = revoke(&["lead"], media.page()).await;
    assert_eq!(revoked.status, 200, "{}", revoked.head);
    let id = revoked.json()["link"].as_str().expect("an id").to_owned();
    assert!(!page.contains(&id), "the id tells nobody the link");
    for path in [&page, &file] {
        assert_eq!(desk.ask("GET", path, &[]).await.status, 404, "{path}");
    }
    let other = links(&desk).media("acme", "m", "hubspot", Timestamp::now());
    assert_eq!(desk.ask("GET", &path(other.page()), &[]).await.status, 200, "another destination's link goes on");
}

#[tokio::test]
async fn a_link_is_dead_when_its_media_is_erased() {
    let desk = Desk::open(&[]).await;
    let media = links(&desk).media("acme", "gone", "salesforce", Timestamp::now());
    assert_eq!(desk.ask("GET", &path(media.page()), &[]).await.status, 200);
    let erased = Change::Erased {
        tenant: "acme".to_owned(),
        media_id: "gone".to_owned(),
        certificate: "cert-7".to_owned(),
        erased_at: at(1),
    };
    desk.index.apply(&[erased]).await.expect("stored");
    let answer = desk.ask("GET", &path(media.page()), &[]).await;
    assert_eq!((answer.status, answer.json()["certificate"].as_str()), (410, Some("cert-7")));
}

#[tokio::test]
async fn a_contacts_link_shows_its_media_and_no_others() {
    let desk = Desk::open(&[]).await;
    let contact = path(&links(&desk).contact("acme", "c0ffee", "salesforce", Timestamp::now()));
    let page = desk.ask("GET", &contact, &[]).await;
    let html = String::from_utf8_lossy(&page.body).into_owned();
    assert_eq!(page.status, 200, "{}", page.head);
    assert!(html.contains("m/playback.mp3") && html.contains("old/playback.mp3") && !html.contains("theirs"), "{html}");
    assert!(!html.contains("<script>alert"), "{html}");
    assert_eq!(desk.ask("GET", &format!("{contact}m/playback.mp3"), &[]).await.status, 200);
    assert_eq!(desk.ask("GET", &format!("{contact}m/"), &[]).await.status, 200);
    assert_eq!(desk.ask("GET", &contact.replace("c0ffee", "beef"), &[]).await.status, 404);
    assert_eq!(desk.ask("GET", &format!("{contact}?q=%3Cscript%3E&kind=%22%3E&cursor=x"), &[]).await.status, 400);
    let found = desk.ask("GET", &format!("{contact}?q=nothing"), &[]).await;
    assert!(String::from_utf8_lossy(&found.body).contains("Nothing is here"));
}

#[tokio::test]
async fn a_page_may_be_framed_by_those_who_are_named_and_holds_no_request_to_others() {
    let desk = Desk::open(&[("catalog.frame_ancestors", "https://crm.example")]).await;
    let page = desk.get(&["lead"], "/m/acme/m/").await;
    let policy = page.header("content-security-policy").expect("a policy").to_owned();
    assert!(
        policy.contains("frame-ancestors https://crm.example") && policy.contains("default-src 'none'"),
        "{policy}"
    );
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert!(page.body.len() <= 30_000, "{} bytes", page.body.len());
    let agent = desk.get(&["agent"], "/m/acme/m/").await;
    let html = String::from_utf8_lossy(&agent.body).into_owned();
    assert!(html.contains("playback.mp3?download=1") && !html.contains("original.ogg"), "{html}");
}

/// Python's own reader judges the archive.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contacts_media_come_as_an_archive_that_opens_without_this_product() {
    let desk = Desk::open(&[("access.privacy.tenants", "acme"), ("access.privacy.actions", "export")]).await;
    let contact = path(&links(&desk).contact("acme", "c0ffee", "salesforce", Timestamp::now()));
    let by_link = desk.ask("GET", &format!("{contact}all.zip"), &[]).await;
    let exported = desk.get(&["privacy"], "/k/acme/c0ffee/all.zip").await;
    assert_eq!(desk.get(&["agent"], "/k/acme/c0ffee/all.zip").await.status, 403);
    let script = "import io,json,sys,zipfile\n\
                  z=zipfile.ZipFile(io.BytesIO(sys.stdin.buffer.read()))\n\
                  assert z.testzip() is None\n\
                  print(json.dumps({'names':sorted(z.namelist()),'index':json.loads(z.read('index.json'))}))";
    for (answer, has_data) in [(by_link, false), (exported, true)] {
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/zip")), "{}", answer.head);
        let mut python = std::process::Command::new("/usr/bin/python3")
            .args(["-c", script])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("python");
        std::io::Write::write_all(&mut python.stdin.take().expect("a pipe"), &answer.body).expect("written");
        let output = python.wait_with_output().expect("it ends");
        assert!(output.status.success());
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let names = said["names"].as_array().expect("names");
        // Three media of the tenant, two files each, and what tells of them.
        assert_eq!(names.len(), 8, "{names:?}");
        assert!(names.iter().all(|name| !name.as_str().expect("text").contains("..")), "{names:?}");
        let media = said["index"]["media"].as_array().expect("media");
        assert_eq!((media.len(), media[0].get("data").is_some()), (3, has_data));
        assert!(!said.to_string().contains("globex"), "{said}");
    }
}
