//! Sends signed webhooks over connections that stay open, a thread each.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The app secret of the account.
pub(crate) const KEY: &str = "a-secret-of-the-bench";
/// Webhooks on their way at the same time, at most.
const CONNECTIONS: u32 = 64;
/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(10);

/// No two webhooks are of the same message.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// A server.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    pub(crate) pid: u32,
}

/// What came of a run.
#[derive(Default)]
pub(crate) struct Run {
    pub(crate) answered: usize,
    took: Duration,
    /// From the instant at which each was due until its answer.
    latencies: Vec<Duration>,
    /// By how much the sender itself missed that instant, where its connection was free.
    late: Vec<Duration>,
}

impl Run {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    pub(crate) fn per_second(&self) -> f64 {
        self.answered as f64 / self.took.as_secs_f64()
    }

    pub(crate) fn latency_ms(&self, percent: usize) -> f64 {
        percentile(&self.latencies, percent)
    }

    pub(crate) fn late_ms(&self, percent: usize) -> f64 {
        percentile(&self.late, percent)
    }

    fn merge(mut self, other: Self) -> Self {
        self.answered += other.answered;
        self.took = self.took.max(other.took);
        self.latencies.extend(other.latencies);
        self.late.extend(other.late);
        self
    }
}

/// In milliseconds.
fn percentile(times: &[Duration], percent: usize) -> f64 {
    let mut times = times.to_vec();
    times.sort();
    times.get(times.len() * percent / 100).or(times.last()).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
}

/// Whether a webhook is answered with success.
pub(crate) fn is_taken(target: &Target) -> bool {
    Sender::open(target).and_then(|mut sender| sender.send()).is_ok()
}

/// One webhook behind another on every connection.
pub(crate) fn flat_out(target: &Target, time: Duration) -> Result<Run, String> {
    on_all(target, |_, sender, began| {
        let mut run = Run::default();
        while began.elapsed() < time {
            sender.send()?;
            run.answered += 1;
        }
        Ok(Run { took: began.elapsed(), ..run })
    })
}

/// So many webhooks a second, whatever the answers take; the connections take turns.
pub(crate) fn at_rate(target: &Target, rate: f64, time: Duration) -> Result<Run, String> {
    let every = Duration::from_secs_f64(f64::from(CONNECTIONS) / rate);
    on_all(target, |number, sender, began| {
        let mut run = Run::default();
        let mut due = began + every * number / CONNECTIONS;
        while due < began + time {
            let left = due.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                std::thread::sleep(left);
                run.late.push(due.elapsed());
            }
            sender.send()?;
            run.latencies.push(due.elapsed());
            run.answered += 1;
            due += every;
        }
        Ok(Run { took: began.elapsed(), ..run })
    })
}

fn on_all(target: &Target, work: impl Fn(u32, &mut Sender, Instant) -> io::Result<Run> + Sync) -> Result<Run, String> {
    let work = &work;
    std::thread::scope(|scope| {
        let began = Instant::now() + Duration::from_millis(50);
        let run = |number| move || work(number, &mut Sender::open(target)?, began);
        let threads: Vec<_> = (0..CONNECTIONS).map(|number| scope.spawn(run(number))).collect();
        let runs = threads.into_iter().map(|thread| thread.join().expect("no panic"));
        let all = runs.collect::<io::Result<Vec<Run>>>().map_err(|error| format!("{}: {error}", target.name))?;
        Ok(all.into_iter().fold(Run::default(), Run::merge))
    })
}

/// A connection.
struct Sender {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Sender {
    fn open(target: &Target) -> io::Result<Self> {
        let stream = TcpStream::connect(target.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    /// A new voice note, and the answer to it, which has to be 200.
    fn send(&mut self) -> io::Result<()> {
        let body = body(COUNT.fetch_add(1, Ordering::Relaxed));
        let mut request = format!(
            "POST /v1/channels/support HTTP/1.1\r\nhost: gw.example.test\r\nuser-agent: facebookexternalua\r\n\
             content-type: application/json\r\nx-hub-signature-256: sha256={}\r\ncontent-length: {}\r\n\r\n",
            signature(&body),
            body.len()
        );
        request.push_str(&body);
        self.stream.write_all(request.as_bytes())?;
        self.answer()
    }

    fn answer(&mut self) -> io::Result<()> {
        let wrong = |text: &str| io::Error::other(format!("an answer that was not expected: {text}"));
        self.buffer.clear();
        loop {
            let mut part = [0; 2048];
            let read = self.stream.read(&mut part)?;
            self.buffer.extend_from_slice(&part[..read]);
            let text = String::from_utf8_lossy(&self.buffer);
            if read == 0 {
                return Err(wrong(&text));
            }
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let head = head.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            if !head.starts_with("http/1.1 200") || length.is_none() {
                return Err(wrong(&text));
            }
            if length.is_some_and(|length: usize| body.len() >= length) {
                return Ok(());
            }
        }
    }
}

fn signature(body: &str) -> String {
    let mut hmac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).expect("any length");
    hmac.update(body.as_bytes());
    hex::encode(hmac.finalize().into_bytes())
}

/// As Meta sends a voice note. Every id, number and name is invented.
fn body(number: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    format!(
        r#"{{"object":"whatsapp_business_account","entry":[{{"id":"900000000000001","changes":[{{"value":{{"messaging_product":"whatsapp","metadata":{{"display_phone_number":"15550000001","phone_number_id":"800000000000001"}},"contacts":[{{"profile":{{"name":"Ana"}},"wa_id":"5511999990000"}}],"messages":[{{"from":"5511999990000","id":"wamid.HBgNNTUxMTk5OTk5MDAwMBUCABIYFDNB{number:020}","timestamp":"{now}","type":"audio","audio":{{"mime_type":"audio/ogg; codecs=opus","sha256":"szXu7Kjm7KMUm/fHgLeXSvQ4hk31YITGd4eBsnrwt+w=","id":"7{number:014}","url":"https:\/\/lookaside.fbsbx.com\/whatsapp_business\/attachments\/?mid=7{number:014}&source=webhook&ext={now}&hash=AR-x","voice":true}}}}]}},"field":"messages"}}]}}]}}"#
    )
}
