//! From the webhook to the outcome: a tenant that floods does not delay another's voice note.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;
use sha2::{Digest, Sha256};

use super::{post, signed, status};
use crate::channels::samples::{AUDIO, meta};
use crate::support::cmd::program;
use crate::support::http::{Asked, Http, Step, ok};
use crate::support::processes::wait_until;
use crate::support::rabbit::{Rabbit, calm, free_ports};
use crate::support::rig::{Rig, SOON, fixture};
use crate::support::say::say;
use crate::support::worker::Worker;

/// What another tenant's note may wait for besides one job of the tenant that floods.
const ALLOWANCE: Duration = Duration::from_millis(500);
const KEY: &str = "sesame";

/// A provider that has the same voice note behind every id.
fn provider() -> Http {
    let note = std::fs::read(fixture("voice-note.ogg")).expect("a fixture");
    Http::start(move |asked: &Asked| -> Vec<Step> {
        if asked.path.starts_with("/file") {
            return ok(&note);
        }
        let host = asked.headers.iter().find_map(|line| line.strip_prefix("host: ")).expect("a host");
        ok(json!({ "url": format!("http://{host}/file"), "mime_type": "audio/ogg" }).to_string())
    })
}

/// Two tenants with an account each, a gateway and a worker.
struct Whole {
    gateway: Worker,
    worker: Worker,
    rig: Rig,
    port: u16,
    _api: Http,
}

impl Whole {
    fn start(rabbit: &Rabbit) -> Self {
        let (api, mut rig, [port]) = (provider(), Rig::new(rabbit), free_ports());
        for tenant in ["flood", "single"] {
            let account = tenant.to_uppercase();
            for (key, value) in [
                ("PROVIDER", "whatsapp-cloud"),
                ("TENANT", tenant),
                ("TOKEN", "t"),
                ("APP_SECRET", KEY),
                ("API_BASE", &api.url("")),
            ] {
                rig.set(&format!("CHANNELS__{account}__{key}"), value);
            }
        }
        rig.set("GATEWAY_LISTEN", format!("127.0.0.1:{port}"));
        let mut command = program();
        command.arg("gateway");
        let gateway = rig.worker_of(command);
        wait_until("a gateway", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        let worker = rig.worker();
        Self { gateway, worker, rig, port, _api: api }
    }

    /// Sends the webhook of a new message, and gives back its media id once it is answered with success.
    fn webhook(&self, account: &str, number: usize) -> String {
        let message_id = format!("wamid.{account}{number}");
        let now = jiff::Timestamp::now().as_second().to_string();
        let message = AUDIO.replace("wamid.HBgAUDIO1", &message_id).replace("1790000000", &now);
        // The fixture's bytes have another hash.
        let body = meta(&message.replace(r#""sha256":"szXu7Kjm7KMUm/fHgLeXSvQ4hk31YITGd4eBsnrwt+w=","#, ""));
        let signature = signed(KEY, body.as_bytes());
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("connected");
        let request = post(account, &[("x-hub-signature-256", &signature)], body.as_bytes());
        stream.write_all(&request).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert_eq!(status(&answer), 200, "{answer}");
        let digest = hex::encode(Sha256::digest(format!("800000000000001\0{message_id}\u{0}0")));
        format!("whatsapp-cloud-{}", &digest[..32])
    }

    /// From the first byte of a webhook of the quiet tenant to the outcome of its note.
    fn takes(&self, number: usize) -> Duration {
        let began = Instant::now();
        let media_id = self.webhook("single", number);
        let outcome = self.rig.bus.ledger().wait(&media_id, SOON);
        assert_eq!((outcome.word.as_str(), &outcome.data()["tenant"]), ("normalized", &json!("single")));
        outcome.at.saturating_duration_since(began)
    }

    /// The longest time that a job of the tenant that floods took, and how many had an outcome.
    fn flood(&self) -> (Duration, usize) {
        let all = self.rig.bus.ledger().all();
        let floods = all.values().flatten().filter(|outcome| outcome.data()["tenant"] == "flood");
        let total = |data: &serde_json::Value| data["timings_ms"]["total"].as_u64().expect("a time");
        let times: Vec<_> = floods.map(|outcome| total(outcome.data())).collect();
        (Duration::from_millis(times.iter().copied().max().unwrap_or(0)), times.len())
    }
}

/// `JOBS` notes of one tenant and 50 of the other where that is set, else 150 and 10.
#[test]
fn a_tenant_that_floods_delays_the_note_of_another_by_one_job_from_the_webhook_to_the_outcome() {
    let Some(rabbit) = calm() else { return };
    let whole = Whole::start(rabbit);
    let jobs = std::env::var("JOBS").ok().map(|jobs| jobs.parse::<usize>().expect("JOBS is a number"));
    let (many, singles) = (jobs.unwrap_or(150), if jobs.is_some() { 50 } else { 10 });
    // The first one finds no connections and caches.
    whole.takes(10_000);
    let mut idle: Vec<_> = (10_001..=10_009).map(|number| whole.takes(number)).collect();
    idle.sort();
    for number in 0..many {
        whole.webhook("flood", number);
    }
    let mut busy: Vec<_> = (0..singles).map(|number| whole.takes(number)).collect();
    let (_, done) = whole.flood();
    assert!(done < many, "the flood was over before the single notes were");
    busy.sort();
    whole
        .rig
        .bus
        .ledger()
        .wait_for_files(many + singles + 10, SOON + Duration::from_secs(2) * u32::try_from(many).expect("few"));
    let (longest, _) = whole.flood();
    let [idle_median, idle_worst] = [idle[idle.len() / 2], idle[idle.len() - 1]];
    let [median, worst] = [busy[singles / 2], busy[singles - 1]];
    say(format_args!(
        "{many} webhooks of one tenant: {singles} notes of another took {median:.2?} (median), {worst:.2?} (worst) from the webhook \
         to the outcome; {idle_median:.2?} and {idle_worst:.2?} with nothing else to do; the longest job of the many took {longest:.2?}; \
         {} were left then",
        many - done
    ));
    assert!(median <= idle_median + longest + ALLOWANCE, "median: {median:?}");
    assert!(worst <= idle_worst + longest + ALLOWANCE, "worst: {worst:?}");
    let all = whole.rig.bus.ledger().all();
    assert!(all.values().all(|outcomes| outcomes.len() == 1 && outcomes[0].word == "normalized"));
    whole.gateway.stops();
    whole.worker.stops();
}
