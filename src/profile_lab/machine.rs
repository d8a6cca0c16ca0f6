//! Describes the machine on which the figures were measured.

use std::fs;

use super::record::Machine;
use crate::sandbox::Sandbox;

/// Describes this machine and the options of the run.
#[must_use]
pub fn machine(sandbox: &Sandbox, jobs: u32, threads: u32, repeats: u32) -> Machine {
    let of = |path: &str, key: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let memory_kib: u64 = of("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0);
    Machine {
        cpu: of("/proc/cpuinfo", "model name"),
        cores: std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX)),
        memory_bytes: memory_kib * 1024,
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        mediamill: env!("CARGO_PKG_VERSION").to_owned(),
        libav: sandbox.libav().versions.clone(),
        jobs,
        threads,
        repeats,
    }
}
