//! Leaves behind what children do not need. Debian's libav comes with some 160 libraries; copying and giving back their
//! mappings is most of what a fork costs, and code that is not there cannot be jumped to.
#![expect(unsafe_code, reason = "madvise is told addresses; _Fork has no safe wrapper")]

use std::io;
use std::path::Path;

use rustix::mm::{Advice, madvise};

/// Set for fork servers: every symbol is bound at the start. A child that bound one later would search libraries that it
/// does not have.
pub(super) const BIND_NOW: (&str, &str) = ("LD_BIND_NOW", "1");

/// What everything stands on, whatever libav is built with: names of files up to `.so`.
const NEEDED: [&str; 22] = [
    "libc",
    "libm",
    "libmvec",
    "libgcc_s",
    "libstdc++",
    "libpthread",
    "libdl",
    "librt",
    "ld-linux-x86-64",
    "ld-linux-aarch64",
    "libavutil",
    "libavcodec",
    "libavformat",
    "libavfilter",
    "libswscale",
    "libswresample",
    "libz",
    "libbz2",
    "liblzma",
    "libzimg",
    "libnuma",
    "libgomp",
];

/// From here on children of this process have no mapping of any library but [`NEEDED`] and these, except for the first
/// of each: stack unwinders read its headers.
///
/// # Errors
/// Those of the kernel. Children then have more than they need.
pub(super) fn leave_behind(needed: &[String]) -> io::Result<()> {
    if std::env::var_os(BIND_NOW.0).is_none() {
        return Ok(());
    }
    let is_needed = |name: &str| NEEDED.contains(&name) || needed.iter().any(|known| known == name);
    each_mapping(Advice::LinuxDontFork, |mapping| mapping.offset > 0 && !is_needed(mapping.library))
}

/// Takes back what [`leave_behind`] did.
///
/// # Errors
/// Those of the kernel.
pub(super) fn take_along() -> io::Result<()> {
    each_mapping(Advice::LinuxDoFork, |_| true)
}

fn each_mapping(advice: Advice, wanted: impl Fn(&Mapping<'_>) -> bool) -> io::Result<()> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    for mapping in maps.lines().filter_map(Mapping::parse).filter(wanted) {
        // SAFETY: says what becomes of these pages in children. Nothing that a child does leads into libraries that are
        // left behind: the decoders, encoders and filters on the allow-lists are not in them, symbols are bound, and
        // children leave without exit handlers.
        unsafe { madvise(mapping.start as *mut std::ffi::c_void, mapping.length, advice) }?;
    }
    Ok(())
}

/// `fork` without the handlers that libraries have registered for it: they are for programs with threads, and some of
/// them are in what was left behind.
///
/// # Safety
/// As for `fork`: the process must have one thread.
pub(super) unsafe fn fork() -> libc::pid_t {
    unsafe extern "C" {
        /// POSIX.1-2024.
        fn _Fork() -> libc::pid_t;
    }
    // SAFETY: by this function's own condition.
    unsafe { _Fork() }
}

/// A line of `/proc/self/maps` (proc(5)) about a shared library.
#[derive(Debug, PartialEq, Eq)]
struct Mapping<'a> {
    start: usize,
    length: usize,
    offset: u64,
    /// Name of its file, up to `.so`.
    library: &'a str,
}

impl<'a> Mapping<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let offset = fields.nth(1)?;
        let path = fields.nth(2)?;
        let (library, _) = Path::new(path).file_name()?.to_str()?.split_once(".so")?;
        let address = |text| usize::from_str_radix(text, 16).ok();
        let (start, end) = (address(start)?, address(end)?);
        let offset = u64::from_str_radix(offset, 16).ok()?;
        Some(Self { start, length: end.checked_sub(start)?, offset, library })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_libraries_are_looked_at() {
        let library = "7f2a0000-7f2a3000 r-xp 00001000 fd:00 42    /usr/lib/x86_64-linux-gnu/libX11-xcb.so.1.0.0";
        let mapping = Mapping { start: 0x7f2a_0000, length: 0x3000, offset: 0x1000, library: "libX11-xcb" };
        assert_eq!(Mapping::parse(library), Some(mapping));
        for other in [
            "7f2a0000-7f2a3000 rw-p 00000000 00:00 0",
            "7f2a0000-7f2a3000 rw-p 00000000 00:00 0          [heap]",
            "55d0a000-55d0b000 r-xp 00001000 fd:00 7          /usr/bin/mediamill",
            "",
        ] {
            assert_eq!(Mapping::parse(other), None, "{other}");
        }
    }
}
