//! A network that fails below HTTP.

use mediamill::error::Code;
use mediamill::store::{PutOptions, Store};
use tokio::time::{Duration, timeout};

use super::contract::noise;
use crate::support::cmd::Dir;
use crate::support::faults::transient_as;
use crate::support::proxy::{Fault, Proxy, Way};
use crate::support::s3::S3;

/// A part of S3's smallest size, and one more.
const SIZE: usize = (5 << 20) + 1;
const OPTIONS: PutOptions<'_> = PutOptions::of("video/mp4");

#[tokio::test]
async fn connections_that_fail_lose_and_leave_nothing() {
    let s3 = S3::start();
    let upstream = s3.endpoint().trim_start_matches("http://").parse().expect("an address");
    let proxy = Proxy::start(upstream);
    let mut config = s3.access().via(&format!("http://{}", proxy.address())).config();
    config.attempt_timeout_s = 3;
    config.max_attempts = 2;
    let store = Store::connect(&config).await.expect("a store");
    let direct = Store::connect(&s3.store_config()).await.expect("a store");
    let dir = Dir::new();
    let file = dir.write("f", noise(SIZE));
    for fault in [
        Fault::Refuse,
        Fault::Cut { way: Way::Up, after_bytes: 1 << 20 },
        Fault::Cut { way: Way::Down, after_bytes: 100 },
        Fault::HalfClose { way: Way::Up, after_bytes: 1 << 20 },
        Fault::HalfClose { way: Way::Down, after_bytes: 50 },
        Fault::Freeze { way: Way::Both, after_bytes: 1 << 20 },
        Fault::Freeze { way: Way::Down, after_bytes: 0 },
    ] {
        direct.delete("k").await.expect("removed");
        proxy.inflict(fault);
        // Connections from before the fault are cut as well, or it would not be met where new ones are refused.
        proxy.cut_all();
        let result = timeout(Duration::from_secs(60), store.put_file("k", &file, OPTIONS)).await.expect("in time");
        // Where the upload is known to have failed nothing is there: neither an object nor a part of one.
        transient_as(Code::StoreUnavailable, result);
        assert_eq!(direct.head("k").await.expect("an answer"), None, "{fault:?}");
        proxy.heal();
        store.put_file("k", &file, OPTIONS).await.unwrap_or_else(|err| panic!("after {fault:?}: {err}"));
        assert_eq!(direct.head("k").await.expect("an answer").expect("is there").size_bytes, SIZE as u64);
    }
    for fault in [
        Fault::Delay { way: Way::Both, by: Duration::from_millis(20) },
        Fault::Throttle { way: Way::Up, bytes_per_s: 64 << 20 },
    ] {
        proxy.inflict(fault);
        store.put_file("k", &file, OPTIONS).await.unwrap_or_else(|err| panic!("{fault:?}: {err}"));
    }
    proxy.inflict(Fault::Corrupt { way: Way::Up, at_byte: 1 << 20 });
    proxy.cut_all();
    transient_as(Code::StoreChecksum, store.put_file("k", &file, OPTIONS).await);
    assert!(proxy.accepted() > proxy.open());
}
