//! The story of one job: parse → fetch → transcode → store, the manifest last. Publishing is up to the caller.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use super::age::MAX_AGE;
use super::assets;
use super::endpoints::Endpoints;
use super::metrics::Metrics;
use super::outcome::{At, Failure, event_id};
use super::receipt::{Receipt, lend};
use super::record::normalized;
use super::spans;
use super::workspace::{Scratch, Workspace};
use crate::broker::Lane;
use crate::config::{Config, Limits, Profile, Profiles};
use crate::error::{Code, Fault};
use crate::events::{Manifest, ManifestError, NORMALIZED_TYPE, Normalized, Received, Stage, Timings};
use crate::sandbox::Sandbox;
use crate::sandbox::protocol::{INPUT, JobSpec, Report, Task};
use crate::source::{Fetched, Sources};
use crate::store::{Folder, PutOptions, Store};

/// Most threads of a codec. More gain nothing at the sizes that profiles have, and their stacks count as the child's memory:
/// on a machine of 64 cores a file would meet another limit than on a small one.
const MAX_THREADS: u32 = 16;
/// Longest tenant and media id in bytes: room for every channel's ids, and none for abuse.
pub(super) const MAX_ID_BYTES: usize = 1024;

/// One file to be processed.
#[derive(Debug, Clone)]
pub struct Job {
    /// `id` of the event that asked for it.
    pub cause: String,
    /// Its `time`.
    pub asked_at: Option<Timestamp>,
    /// Its data.
    pub received: Received,
    /// A file that the person at the keyboard named: it is taken instead of the event's origin.
    pub local: Option<PathBuf>,
    /// Whether to do the work even where a manifest says that it was done.
    pub again: bool,
    /// Added to the child's nice value.
    pub nice: i32,
    /// The lane that it came through; none where there is no broker.
    pub lane: Option<Lane>,
    /// What it has of the broker and the slots, where it came through them.
    pub receipt: Option<Receipt>,
}

impl Job {
    /// A job as an event asks for it.
    #[must_use]
    pub const fn new(cause: String, asked_at: Option<Timestamp>, received: Received, nice: i32) -> Self {
        Self { cause, asked_at, received, local: None, again: false, nice, lane: None, receipt: None }
    }
}

/// Everything that a job runs through. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pipeline {
    sources: Sources,
    store: Store,
    sandbox: Sandbox,
    profiles: Arc<RwLock<Profiles>>,
    default_profile: String,
    workspace: Workspace,
    endpoints: Endpoints,
    limits: Limits,
    threads: u32,
    deadline: Duration,
    metrics: Metrics,
}

/// What a pipeline is built from.
#[derive(Debug)]
pub struct Parts {
    /// Where originals come from.
    pub sources: Sources,
    /// Where assets go.
    pub store: Store,
    /// Where libav runs.
    pub sandbox: Sandbox,
    /// What to make of a file.
    pub profiles: Profiles,
    /// Where files are while they are worked on.
    pub workspace: Workspace,
}

/// What one run has to go by.
struct Brief<'a> {
    job: &'a Job,
    profile: Profile,
    folder: Folder,
    /// Every step has its own timeouts; this is the one above them, so that a job never outlives its delivery.
    deadline: Instant,
}

impl Pipeline {
    /// A pipeline with `slots` jobs at a time.
    #[must_use]
    pub fn new(config: &Config, parts: Parts, slots: usize) -> Self {
        let Parts { sources, store, sandbox, profiles, workspace } = parts;
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            sources,
            store,
            sandbox,
            profiles: Arc::new(RwLock::new(profiles)),
            default_profile: config.worker.profile.clone(),
            workspace,
            endpoints: Endpoints::default(),
            limits: config.limits,
            threads: u32::try_from(cpus / slots.max(1)).unwrap_or(1).clamp(1, MAX_THREADS),
            deadline: Duration::from_secs(config.broker.ack_timeout_s).mul_f64(0.9),
            metrics: Metrics::default(),
        }
    }

    /// Runs a job to its manifest, or to the step that ended it. `on_progress` hears of the child's work from 0 to 1.
    /// Dropping the future kills the child and removes the scratch directory.
    ///
    /// # Errors
    /// The step, and what it means for the job.
    pub async fn run(&self, job: &Job, on_progress: impl FnMut(f32) + Send) -> Result<Manifest, Failure> {
        let started = Instant::now();
        let mut timings = Timings { queue: job.asked_at.map_or(0, waited_ms), ..Timings::default() };
        let brief = self.parse(job).at(Stage::Parse)?;
        if let Some(done) = self.done_before(&brief).await? {
            return Ok(done);
        }
        let scratch = self.claim(&job.received).at(Stage::Fetch)?;
        let mut clock = Clock { metrics: &self.metrics, lane: job.lane, timings: &mut timings };
        let fetched = clock.times(Stage::Fetch, lend(job.receipt.as_ref(), self.fetch(&brief, &scratch))).await?;
        if let Some(receipt) = &job.receipt {
            brief.within(Stage::Fetch, async { Ok::<_, Fault>(receipt.lease.resume().await) }).await?;
        }
        let report = clock.times(Stage::Transcode, self.transcode(&brief, &scratch, on_progress)).await?;
        assets::vet(&report, scratch.path()).at(Stage::Transcode)?;
        // Another worker may have been given the same file: what its manifest names must not be replaced.
        if let Some(done) = self.done_before(&brief).await? {
            return Ok(done);
        }
        let stored = clock.times(Stage::Store, self.store_assets(&brief, &scratch, &fetched, &report)).await?;
        timings.total = ms(started.elapsed());
        let manifest = self.finish(&brief, normalized(job, &brief.profile, fetched, report, stored, timings)).await?;
        self.metrics.made(job.lane, manifest.data.kind, &manifest.data.decision);
        Ok(manifest)
    }

    /// Version of the profile that the event asks for; empty where there is no such profile.
    #[must_use]
    pub fn profile_version(&self, received: &Received) -> String {
        self.profile(received).map(|profile| profile.version).unwrap_or_default()
    }

    /// Jobs that begin from now on go by these profiles, in every clone. Those that run keep the one they began with.
    ///
    /// # Errors
    /// Where the default profile is not among them; then all is as it was.
    pub fn replace_profiles(&self, profiles: Profiles) -> Result<(), Fault> {
        if profiles.get(&self.default_profile).is_none() {
            let message =
                format!("there is no profile {:?} among them, which worker.profile names", self.default_profile);
            return Err(Fault::broken(Code::EventProfile, message));
        }
        *self.profiles.write().unwrap_or_else(PoisonError::into_inner) = profiles;
        Ok(())
    }

    /// Whether this machine could do a job at all.
    ///
    /// # Errors
    /// What is in the way of every job: no fork server, no scratch space.
    pub(super) fn able(&self) -> Result<(), Fault> {
        if self.sandbox.server_pid().is_none() {
            return Err(Fault::transient(Code::WorkerSandbox, "there is no fork server"));
        }
        Ok(self.workspace.check()?)
    }

    /// What a child is asked when it is to be found out whether this machine can do a job.
    pub(super) fn trial(&self) -> Option<JobSpec> {
        let profile =
            self.profiles.read().unwrap_or_else(PoisonError::into_inner).get(&self.default_profile)?.raw.clone();
        Some(JobSpec { task: Task::Normalize, profile, limits: self.limits, threads: 1, nice: 0 })
    }

    /// The manifest of a file, where somebody finished it and the store says so.
    pub(super) async fn done(&self, received: &Received) -> Option<Manifest> {
        let folder = self.store.folder(&received.tenant, &received.media_id);
        let bytes = self.store.get(&folder.manifest()).await.ok()??;
        Manifest::read(&bytes).ok()
    }

    /// What is counted over all jobs.
    pub(super) const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Where assets go.
    pub(super) const fn store(&self) -> &Store {
        &self.store
    }

    /// Where libav runs.
    pub(super) const fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// Where files are while they are worked on.
    pub(super) const fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    fn profile(&self, received: &Received) -> Option<Profile> {
        let name = received.profile.as_deref().unwrap_or(&self.default_profile);
        self.profiles.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn parse<'a>(&'a self, job: &'a Job) -> Result<Brief<'a>, Fault> {
        let received = &job.received;
        for (name, id) in [("tenant", &received.tenant), ("media_id", &received.media_id)] {
            if id.is_empty() || id.len() > MAX_ID_BYTES {
                let message = format!("{name} must have 1 to {MAX_ID_BYTES} bytes");
                return Err(Fault::rejected(Code::EventInvalid, message));
            }
        }
        let profile = self
            .profile(received)
            .ok_or_else(|| Fault::rejected(Code::EventProfile, "this worker has no profile of that name"))?;
        let folder = self.store.folder(&received.tenant, &received.media_id);
        let deadline = job.receipt.as_ref().map_or_else(Instant::now, |receipt| receipt.received_at) + self.deadline;
        Ok(Brief { job, profile, folder, deadline })
    }

    /// The manifest of the same file, where somebody finished it before.
    async fn done_before(&self, brief: &Brief<'_>) -> Result<Option<Manifest>, Failure> {
        if brief.job.again {
            return Ok(None);
        }
        let found = brief.within(Stage::Store, self.store.get(&brief.folder.manifest())).await?;
        let Some(bytes) = found else { return Ok(None) };
        match Manifest::read(&bytes) {
            Ok(manifest) => Ok(Some(manifest)),
            // Doing the work again puts a good one in its place.
            Err(err @ ManifestError::Damaged(_)) => {
                tracing::warn!(key = brief.folder.manifest(), %err, "a manifest cannot be read");
                Ok(None)
            }
            // It names objects, and an event has named them too: they must not be replaced. A worker that can read it is
            // about, or was.
            Err(ManifestError::Foreign) => {
                let message = "a worker of another version did this file, and its manifest cannot be read by this one";
                Err(Failure { stage: Stage::Parse, fault: Fault::transient(Code::WorkerOutdated, message) })
            }
        }
    }

    fn claim(&self, received: &Received) -> Result<Scratch, Fault> {
        let declared = received.declared.as_ref().and_then(|declared| declared.size_bytes).unwrap_or(0);
        // The original, and as much again for what is made of it.
        Ok(self.workspace.claim(declared.min(self.limits.input_bytes).saturating_mul(2))?)
    }

    async fn fetch(&self, brief: &Brief<'_>, scratch: &Scratch) -> Result<Fetched, Failure> {
        let Received { origin, declared, .. } = &brief.job.received;
        let (limit, dest) = (self.limits.input_bytes, scratch.path().join(INPUT));
        match &brief.job.local {
            Some(path) => brief.within(Stage::Fetch, self.sources.fetch_local(path, limit, &dest)).await,
            None => {
                let visit = self.endpoints.visit(origin).at(Stage::Fetch)?;
                let fetch = self.sources.fetch(origin, declared.as_ref(), limit, &dest);
                let fetched = brief.within(Stage::Fetch, fetch).await;
                let code = fetched.as_ref().err().and_then(|failure| failure.fault.code());
                visit.ends(matches!(code, Some(Code::SourceTimeout | Code::SourceUnavailable)));
                fetched
            }
        }
    }

    async fn transcode(
        &self,
        brief: &Brief<'_>,
        scratch: &Scratch,
        on_progress: impl FnMut(f32) + Send,
    ) -> Result<Report, Failure> {
        let spec = JobSpec {
            task: Task::Normalize,
            profile: brief.profile.raw.clone(),
            limits: self.limits,
            threads: self.threads,
            nice: brief.job.nice,
        };
        brief.within(Stage::Transcode, self.sandbox.run(&spec, scratch.path(), on_progress)).await
    }

    async fn store_assets(
        &self,
        brief: &Brief<'_>,
        scratch: &Scratch,
        fetched: &Fetched,
        report: &Report,
    ) -> Result<assets::Kept, Failure> {
        let keep_original = brief.profile.raw.keep_original;
        let put = assets::put(&self.store, &brief.folder, scratch.path(), fetched, report, keep_original);
        brief.within(Stage::Store, put).await
    }

    async fn finish(&self, brief: &Brief<'_>, data: Normalized) -> Result<Manifest, Failure> {
        let event_id = event_id(&data.tenant, &data.media_id, &data.decision.profile_version, NORMALIZED_TYPE);
        let no_json = |err| Fault::broken(Code::WorkerBroken, format!("the manifest does not turn into JSON: {err}"));
        let manifest = Manifest::new(event_id, Timestamp::now().to_string(), data).map_err(no_json).at(Stage::Store)?;
        let json = manifest.to_json().map_err(no_json).at(Stage::Store)?;
        let (key, json, content_type) = (brief.folder.manifest(), Bytes::from(json), "application/json");
        if !brief.job.again {
            let put = self.store.put_new(&key, json.clone(), content_type);
            if brief.within(Stage::Store, put).await? {
                return Ok(manifest);
            }
            // Another worker was given the same file and was faster: what it said of it holds.
            if let Some(done) = self.done_before(brief).await? {
                return Ok(done);
            }
        }
        let options = PutOptions { content_type, sha256: None };
        brief.within(Stage::Store, self.store.put_bytes(&key, json, options)).await?;
        Ok(manifest)
    }
}

impl Brief<'_> {
    /// A step's result, unless the job's time is over before.
    async fn within<T, E: Into<Fault>>(
        &self,
        stage: Stage,
        step: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Failure> {
        match timeout_at(self.deadline, step).await {
            Ok(result) => result.at(stage),
            Err(_elapsed) => Err(Failure { stage, fault: too_slow(stage) }),
        }
    }
}

fn too_slow(stage: Stage) -> Fault {
    let message = format!("no end within the time that a {} step has", stage.as_str());
    match stage {
        Stage::Fetch => Fault::transient(Code::SourceTimeout, message),
        Stage::Transcode => Fault::suspect(Code::LimitTime, message),
        Stage::Parse | Stage::Store | Stage::Publish => Fault::transient(Code::StoreUnavailable, message),
    }
}

/// Writes down how long steps take: for the event, for metrics, and for traces.
struct Clock<'a> {
    metrics: &'a Metrics,
    lane: Option<Lane>,
    timings: &'a mut Timings,
}

impl Clock<'_> {
    async fn times<T>(&mut self, stage: Stage, step: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let started = Instant::now();
        let result = spans::step(stage, step).await;
        let took = started.elapsed();
        match stage {
            Stage::Fetch => self.timings.fetch = ms(took),
            Stage::Transcode => self.timings.decode = ms(took),
            Stage::Store => self.timings.store = ms(took),
            Stage::Parse | Stage::Publish => {}
        }
        self.metrics.stage(self.lane, stage, took);
        result
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Clocks differ between machines: an event from the future waited for nothing, and none waits for longer than
/// [`MAX_AGE`].
fn waited_ms(asked_at: Timestamp) -> u64 {
    let waited = Timestamp::now().duration_since(asked_at).try_into().unwrap_or_default();
    ms(MAX_AGE.min(waited))
}
