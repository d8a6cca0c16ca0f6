//! The steps of one job: parse → fetch → transcode → store, the manifest last. The caller publishes.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::answer::Seen;
use super::clock::{Clock, ms, waited_ms};
use super::describe::normalized;
use super::job::{Brief, Job, MAX_ID_BYTES};
use super::metrics::Metrics;
use super::outcome::Outcome;
use super::scratch::{Scratch, Workspace};
use super::upload;
use super::vet;
use crate::config::{Config, Limits, LoadedProfile, Profiles};
use crate::egress::Endpoints;
use crate::error::{Code, Fault};
use crate::events::{Received, Record, Stage, StoredOutcome, Timings};
use crate::privacy::{Guard, Permit};
use crate::runtime::{At, Failure, work_time};
use crate::sandbox::Sandbox;
use crate::source::{Fetched, Sources};
use crate::store::Store;
use crate::task::{JobSpec, Report, Task};

/// Most threads of a codec. More gain nothing at the sizes that profiles have, and their stacks count as the child's memory:
/// on a machine of 64 cores a file would meet another limit than on a small one.
const MAX_THREADS: u32 = 16;
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
    /// What a job may take that has no deadline of its own.
    work_time: Duration,
    metrics: Metrics,
    guard: Guard,
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

impl Pipeline {
    /// A pipeline with `slots` jobs at a time.
    #[must_use]
    pub fn new(config: &Config, parts: Parts, slots: usize) -> Self {
        let Parts { sources, store, sandbox, profiles, workspace } = parts;
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            guard: Guard::new(config, &store),
            sources,
            store,
            sandbox,
            profiles: Arc::new(RwLock::new(profiles)),
            default_profile: config.worker.profile.clone(),
            workspace,
            endpoints: Endpoints::default(),
            limits: config.limits,
            threads: u32::try_from(cpus / slots.max(1)).unwrap_or(1).clamp(1, MAX_THREADS),
            work_time: work_time(&config.broker),
            metrics: Metrics::default(),
        }
    }

    /// Runs a job to its manifest, or to the step that ended it. Where a manifest answers the request already, its outcome is
    /// the result; a rejected file that was fetched is stored, and then the rejection is the result. `on_progress` hears of
    /// the child's work from 0 to 1. Dropping the future kills the child and removes the scratch directory.
    ///
    /// # Errors
    /// The step, and what it means for the job.
    pub async fn run(&self, job: &Job, on_progress: impl FnMut(f32) + Send) -> Result<Outcome, Failure> {
        let started = Instant::now();
        let mut timings = Timings { queue: job.asked_at.map_or(0, waited_ms), ..Timings::default() };
        let brief = self.parse(job).at(Stage::Parse)?;
        let seen = if job.again { Seen::Nothing } else { self.look(&brief).await? };
        self.not_erased(&brief).await?;
        if let Some(outcome) = seen.answer(job, &brief.profile.raw.name).at(Stage::Parse)? {
            return Ok(outcome);
        }
        let brief = self.permitted(brief).await?;
        let scratch = self.claim(&job.received).at(Stage::Fetch)?;
        let mut clock = Clock { metrics: &self.metrics, lane: job.lane, timings: &mut timings };
        let fetch = async {
            let fetch = self.fetch(&brief, &seen, &scratch);
            match &job.lease {
                Some(lease) => lease.lend(fetch).await,
                None => fetch.await,
            }
        };
        let fetched = clock.times(Stage::Fetch, fetch).await?;
        seen.accepts(&fetched).at(Stage::Fetch)?;
        if let Some(lease) = &job.lease {
            // The caller puts the message off: no part of the job has failed.
            if !lease.resume(brief.deadline).await {
                return Err(Failure { stage: Stage::Fetch, fault: Fault::Shutdown });
            }
        }
        let report = clock.times(Stage::Transcode, self.transcode(&brief, &scratch, on_progress)).await;
        let vetted = report.and_then(|report| {
            vet::report(&report, scratch.path(), &self.limits).at(Stage::Transcode)?;
            Ok(report)
        });
        let report = match vetted {
            Ok(report) => report,
            Err(failure) => return self.keep_rejected(&brief, seen, &scratch, &fetched, failure).await,
        };
        let stored = clock.times(Stage::Store, self.store_assets(&brief, &scratch, &fetched, &report)).await?;
        timings.total = ms(started.elapsed());
        let mut data = normalized(job, &brief.profile, fetched.clone(), report, stored, timings);
        data.expires_at = brief.permit.expires_at.map(|at| at.to_string());
        let (kind, decision) = (data.kind, data.decision.clone());
        let make = |revision| {
            let id = brief.about().normalized_id(revision);
            let mut data = data.clone();
            data.revision = revision;
            let record = Record::new(id, Timestamp::now().to_string(), data);
            record.map(Box::new).map(StoredOutcome::Normalized).map_err(|error| {
                Fault::broken(Code::WorkerBroken, format!("the outcome does not turn into JSON: {error}"))
            })
        };
        let outcome = if job.again {
            self.overwrite(&brief, make(1).at(Stage::Store)?).await?
        } else {
            // Only a rejection gives way.
            let no_outcome = || Failure { stage: Stage::Store, fault: Fault::broken(Code::WorkerBroken, "no outcome") };
            self.commit(&brief, seen, &fetched, make).await?.ok_or_else(no_outcome)?
        };
        self.metrics.made(job.lane, kind, &decision);
        Ok(outcome)
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

    /// The outcome of a request that is in the manifest already.
    pub(super) async fn done(&self, job: &Job) -> Option<Outcome> {
        let brief = self.parse(job).ok()?;
        let seen = self.look(&brief).await.ok()?;
        self.not_erased(&brief).await.ok()?;
        seen.answer(job, &brief.profile.raw.name).ok()?
    }

    /// What is counted over all jobs.
    pub(super) const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Where assets go.
    pub(super) const fn store(&self) -> &Store {
        &self.store
    }

    /// What may be stored.
    pub(super) const fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Where libav runs.
    pub(super) const fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// Where originals come from.
    pub(super) const fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Origins that are left alone for a while.
    pub(super) const fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// What a job may take.
    pub(super) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Where files are while they are worked on.
    pub(super) const fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    fn profile(&self, received: &Received) -> Option<LoadedProfile> {
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
        let deadline = job.deadline.unwrap_or_else(|| Instant::now() + self.work_time);
        Ok(Brief { job, profile, folder, permit: Permit::UNLIMITED, deadline })
    }

    fn claim(&self, received: &Received) -> Result<Scratch, Fault> {
        let declared = received.declared.as_ref().and_then(|declared| declared.size_bytes).unwrap_or(0);
        Ok(self.workspace.claim(declared.min(self.limits.input_bytes))?)
    }

    async fn transcode(
        &self,
        brief: &Brief<'_>,
        scratch: &Scratch,
        on_progress: impl FnMut(f32) + Send,
    ) -> Result<Report, Failure> {
        let quota = scratch.quota(self.limits.scratch_bytes).at(Stage::Transcode)?;
        let spec = JobSpec {
            task: Task::Normalize,
            profile: brief.profile.raw.clone(),
            limits: Limits { scratch_bytes: quota.bytes, ..self.limits },
            threads: self.threads,
            nice: brief.job.nice,
        };
        let done = brief.within(Stage::Transcode, self.sandbox.run(&spec, scratch.path(), on_progress)).await;
        done.map_err(|failure| scratch.blame_child(failure, quota))
    }

    async fn store_assets(
        &self,
        brief: &Brief<'_>,
        scratch: &Scratch,
        fetched: &Fetched,
        report: &Report,
    ) -> Result<upload::StoredAssets, Failure> {
        let terms = upload::Terms {
            keep_original: brief.profile.raw.keep_original,
            expires_at: brief.permit.expires_at.map(Into::into),
        };
        let put = upload::put(&self.store, &brief.folder, scratch.path(), fetched, report, terms);
        brief.within(Stage::Store, put).await
    }
}
