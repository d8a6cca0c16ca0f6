//! Slow, endless and many connections.

use std::time::{Duration, Instant};

use mediamill::channels::{Account, Provider};
use mediamill::roles::gateway::Options;
use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use super::{Rig, Shelf, answer, options, post, signed, status};
use crate::channels::account;
use crate::channels::samples::{AUDIO, meta};

/// A signature that is none of ours.
const FORGED: (&str, &str) = ("x-hub-signature-256", "sha256=00");

fn named(name: &str) -> Account {
    Account { name: name.to_owned(), ..account(Provider::WhatsappCloud, "sesame") }
}

fn quick() -> Options {
    Options { head_timeout: Duration::from_millis(500), body_timeout: Duration::from_millis(700), ..options() }
}

async fn good(rig: &Rig, account: &str) -> u16 {
    let body = meta(AUDIO);
    let signature = signed("sesame", body.as_bytes());
    status(&rig.post(account, &[("x-hub-signature-256", &signature)], body.as_bytes()).await)
}

#[tokio::test]
async fn a_head_or_a_body_that_does_not_come_ends() {
    let rig = Rig::start(quick(), vec![named("support")], Shelf::open()).await;
    let began = Instant::now();
    let mut silent = rig.connect().await;
    silent.write_all(b"POST /v1/channels/support HTTP/1.1\r\nhost: gw\r\n").await.expect("sent");
    answer(&mut silent).await;
    let mut slow = rig.connect().await;
    slow.write_all(
        b"POST /v1/channels/support HTTP/1.1\r\nhost: gw\r\nconnection: close\r\n\
          x-hub-signature-256: sha256=00\r\ncontent-length: 100\r\n\r\nx",
    )
    .await
    .expect("sent");
    assert_eq!(status(&answer(&mut slow).await), 408);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let long = format!("POST /v1/channels/support HTTP/1.1\r\nhost: gw\r\nx: {}\r\n\r\n", "x".repeat(64 << 10));
    assert_eq!(status(&rig.raw(long.as_bytes()).await), 431);
    let many = format!("POST /v1/channels/support HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(200));
    assert_eq!(status(&rig.raw(many.as_bytes()).await), 431);
    assert_eq!(good(&rig, "support").await, 200);
}

#[tokio::test]
async fn a_body_without_end_is_refused_at_its_limit() {
    let rig = Rig::start(Options { body_bytes: 10_000, ..quick() }, vec![named("support")], Shelf::open()).await;
    let mut request = b"POST /v1/channels/support HTTP/1.1\r\nhost: gw\r\nconnection: close\r\n\
          x-hub-signature-256: sha256=00\r\ntransfer-encoding: chunked\r\n\r\n"
        .to_vec();
    for _ in 0..20 {
        request.extend_from_slice(format!("400\r\n{}\r\n", "x".repeat(1024)).as_bytes());
    }
    assert_eq!(status(&rig.raw(&request).await), 413);
}

#[tokio::test]
async fn an_account_that_is_flooded_leaves_the_others_their_share() {
    let limits = Options { account_requests: 5, body_timeout: Duration::from_secs(3), ..options() };
    let rig = Rig::start(limits, vec![named("flooded"), named("quiet")], Shelf::open()).await;
    let mut held = Vec::new();
    for _ in 0..5 {
        let mut slow = rig.connect().await;
        let request = post("flooded", &[FORGED], &[b'x'; 100]);
        slow.write_all(&request[..request.len() - 1]).await.expect("sent");
        held.push(slow);
    }
    sleep(Duration::from_millis(300)).await;
    assert_eq!(good(&rig, "flooded").await, 503);
    assert_eq!(good(&rig, "quiet").await, 200);
    drop(held);
    sleep(Duration::from_millis(300)).await;
    assert_eq!(good(&rig, "flooded").await, 200);
}

#[tokio::test]
async fn memory_is_taken_by_what_has_arrived_and_given_back() {
    let limits = Options { memory_bytes: 1 << 20, body_timeout: Duration::from_secs(3), ..options() };
    let rig = Rig::start(limits, vec![named("support")], Shelf::open()).await;
    // Announces four megabytes each, and sends next to nothing.
    let mut announced = Vec::new();
    for _ in 0..20 {
        let mut slow = rig.connect().await;
        let head = format!(
            "POST /v1/channels/support HTTP/1.1\r\nhost: gw\r\n{}: {}\r\ncontent-length: {}\r\n\r\nx",
            FORGED.0,
            FORGED.1,
            4 << 20
        );
        slow.write_all(head.as_bytes()).await.expect("sent");
        announced.push(slow);
    }
    sleep(Duration::from_millis(300)).await;
    assert_eq!(good(&rig, "support").await, 200);
    assert_eq!(status(&rig.post("support", &[FORGED], &vec![b'x'; 3 << 20]).await), 503, "more than there is");
    drop(announced);
    for _ in 0..3 {
        assert_eq!(good(&rig, "support").await, 200);
    }
}

#[tokio::test]
async fn whoever_signs_nothing_takes_no_place_and_forged_bodies_leave_memory_to_other_accounts() {
    let limits = Options {
        account_requests: 3,
        memory_bytes: 1 << 20,
        account_memory_bytes: 512 << 10,
        body_timeout: Duration::from_secs(3),
        ..options()
    };
    let rig = Rig::start(limits, vec![named("flooded"), named("quiet")], Shelf::open()).await;
    for _ in 0..20 {
        let mut slow = rig.connect().await;
        let head = "POST /v1/channels/flooded HTTP/1.1\r\nhost: gw\r\nconnection: close\r\ncontent-length: 100\r\n\r\n";
        slow.write_all(head.as_bytes()).await.expect("sent");
        let began = Instant::now();
        assert_eq!(status(&answer(&mut slow).await), 401);
        assert!(began.elapsed() < Duration::from_secs(2), "before its body has come");
    }
    let mut slow = rig.connect().await;
    let request = post("flooded", &[FORGED], &vec![b'x'; 400 << 10]);
    slow.write_all(&request[..request.len() - 1]).await.expect("sent");
    sleep(Duration::from_millis(300)).await;
    assert_eq!(status(&rig.post("flooded", &[FORGED], &vec![b'x'; 400 << 10]).await), 503, "its half is taken");
    assert_eq!(good(&rig, "quiet").await, 200);
}

#[tokio::test]
async fn a_connection_beyond_the_last_place_waits_for_one() {
    let limits = Options { connections: 1, head_timeout: Duration::from_secs(1), ..options() };
    let rig = Rig::start(limits, vec![named("support")], Shelf::open()).await;
    let idle = rig.connect().await;
    sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    assert_eq!(good(&rig, "support").await, 200);
    assert!(began.elapsed() > Duration::from_millis(500), "{:?}", began.elapsed());
    drop(idle);
}

#[tokio::test]
async fn a_gateway_that_stops_answers_what_it_has_begun() {
    let shelf = Shelf::with(0);
    let rig = Rig::start(options(), vec![named("support")], shelf.clone()).await;
    let stop = async {
        sleep(Duration::from_millis(300)).await;
        rig.shutdown.cancel();
        sleep(Duration::from_millis(300)).await;
        assert!(tokio::net::TcpStream::connect(rig.address).await.is_err(), "takes nothing more");
        shelf.confirms.add_permits(1);
    };
    let (status, ()) = tokio::join!(good(&rig, "support"), stop);
    assert_eq!(status, 200);
    tokio::time::timeout(Duration::from_secs(3), rig.ended).await.expect("in time").expect("ended");
}
