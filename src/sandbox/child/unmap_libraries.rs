//! Keeps libraries that no job needs out of children. Debian's libav depends on some 160 libraries. Copying and freeing
//! their mappings is most of the cost of a fork, and an attacker cannot use code that is not mapped.
#![expect(unsafe_code, reason = "madvise and the loader speak in addresses; _Fork has no safe wrapper")]

use std::collections::BTreeSet;
use std::ffi::{c_int, c_void};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rustix::mm::{Advice, madvise};

use crate::sandbox::wire::arguments::BIND_NOW;

/// Libraries that are always needed, whatever libav is built with: file names up to `.so`.
const NEEDED: [&str; 23] = [
    "libc",
    "libm",
    "libmvec",
    // Registers its own formats with printf, which from then on calls it for every floating-point number.
    "libquadmath",
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

/// These refer to every codec library and graphics driver, but call only those on the allow-lists. So what they point
/// to is not kept because of them.
const DISPATCHERS: [&str; 5] = ["libavcodec", "libavformat", "libavfilter", "libavutil", "libswresample"];

/// Marks library mappings MADV_DONTFORK, so that children do not inherit them. Kept are the libraries in [`NEEDED`] and
/// `needed`, everything that they point to, the first mapping of each library, whose headers stack unwinding reads, and
/// the initial values of thread-local variables, which every new thread reads.
///
/// # Errors
/// Those of the kernel. Children then have more libraries than they need.
pub(in crate::sandbox) fn unmap_in_children(needed: &[String]) -> io::Result<()> {
    if std::env::var_os(BIND_NOW.0).is_none() {
        return Ok(());
    }
    let maps = std::fs::read_to_string(MAPS)?;
    let mappings: Vec<Mapping<'_>> = maps.lines().filter_map(Mapping::parse).collect();
    let known = NEEDED.into_iter().chain(needed.iter().map(String::as_str)).collect();
    let kept = with_references(&mappings, known, &File::open("/proc/self/mem")?);
    let images = thread_local_images();
    advise(&mappings, Advice::LinuxDontFork, |mapping| {
        mapping.offset > 0 && !kept.contains(mapping.library) && !images.iter().any(|image| mapping.overlaps(image))
    })
}

/// Undoes [`unmap_in_children`].
///
/// # Errors
/// Those of the kernel.
pub(in crate::sandbox) fn keep_in_children() -> io::Result<()> {
    let maps = std::fs::read_to_string(MAPS)?;
    let mappings: Vec<Mapping<'_>> = maps.lines().filter_map(Mapping::parse).collect();
    advise(&mappings, Advice::LinuxDoFork, |_| true)
}

const MAPS: &str = "/proc/self/maps";

fn advise(mappings: &[Mapping<'_>], advice: Advice, wanted: impl Fn(&Mapping<'_>) -> bool) -> io::Result<()> {
    for mapping in mappings.iter().filter(|mapping| wanted(mapping)) {
        // SAFETY: decides only whether children get these pages. Nothing that a child runs is in libraries that are not
        // kept: the decoders, encoders and filters on the allow-lists are in kept ones, and so is what those refer to;
        // all symbols are bound, and children end without exit handlers.
        unsafe { madvise(mapping.start as *mut c_void, mapping.length, advice) }?;
    }
    Ok(())
}

/// The initial values of thread-local variables. Every new thread copies those of all libraries.
fn thread_local_images() -> Vec<Range<usize>> {
    unsafe extern "C" fn note(object: *mut libc::dl_phdr_info, _: usize, images: *mut c_void) -> c_int {
        // SAFETY: the loader's description of an object, valid during this call, and the vector that is passed below.
        let (object, images) = unsafe { (&*object, &mut *images.cast::<Vec<Range<usize>>>()) };
        // SAFETY: the loader gives the number of headers.
        let headers = unsafe { std::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into()) };
        for header in headers.iter().filter(|header| header.p_type == libc::PT_TLS) {
            #[expect(clippy::cast_possible_truncation, reason = "addresses of this very process")]
            let (start, length) = ((object.dlpi_addr + header.p_vaddr) as usize, header.p_filesz as usize);
            images.push(start..start + length);
        }
        0
    }
    let mut images = Vec::new();
    // SAFETY: `note` is called with this vector, and only before this call returns.
    unsafe { libc::dl_iterate_phdr(Some(note), (&raw mut images).cast()) };
    images
}

/// `known` and every library that one of them points to in memory. The libraries that they were linked with do not
/// matter: a C++ template may exist in many libraries, and the first one loaded serves all of them.
fn with_references<'a>(mappings: &[Mapping<'a>], mut known: BTreeSet<&'a str>, memory: &File) -> BTreeSet<&'a str> {
    let mut to_read: Vec<&str> = known.iter().copied().collect();
    while let Some(library) = to_read.pop() {
        let data = |mapping: &&Mapping<'_>| mapping.library == library && mapping.is_data;
        for mapping in mappings.iter().filter(data).filter(|_| !DISPATCHERS.contains(&library)) {
            let mut bytes = vec![0; mapping.length];
            // If it cannot be read, no symbol can have been bound in it.
            if memory.read_exact_at(&mut bytes, mapping.start as u64).is_err() {
                continue;
            }
            let (words, _) = bytes.as_chunks();
            for found in words.iter().filter_map(|word| holder(mappings, usize::from_ne_bytes(*word))) {
                if known.insert(found) {
                    to_read.push(found);
                }
            }
        }
    }
    known
}

/// The library that contains this address. `mappings` are in ascending order, as the kernel lists them.
fn holder<'a>(mappings: &[Mapping<'a>], address: usize) -> Option<&'a str> {
    let after = mappings.partition_point(|mapping| mapping.start <= address);
    let mapping = &mappings[after.checked_sub(1)?];
    (address - mapping.start < mapping.length).then_some(mapping.library)
}

/// From here on `exit` ends this process at once, because the exit handlers of libraries that are not kept cannot run.
#[cfg(target_env = "gnu")]
pub(in crate::sandbox) fn exit_at_once() {
    unsafe extern "C" {
        /// glibc: handlers run in the reverse order of their registration, so this one runs first.
        fn on_exit(handler: extern "C" fn(c_int, *mut c_void), argument: *mut c_void) -> c_int;
    }
    extern "C" fn leave(status: c_int, _: *mut c_void) {
        // SAFETY: ends the process.
        unsafe { libc::_exit(status) }
    }
    // SAFETY: the handler uses nothing that could be unmapped.
    unsafe { on_exit(leave, std::ptr::null_mut()) };
}

/// Elsewhere children keep every library, and with them their exit handlers.
#[cfg(not(target_env = "gnu"))]
pub(in crate::sandbox) const fn exit_at_once() {}

/// `fork` without the handlers that libraries registered with pthread_atfork: those are for programs with several
/// threads, and some of them are in libraries that are not kept.
///
/// # Safety
/// As for `fork`: the process must have one thread.
pub(in crate::sandbox) unsafe fn fork() -> libc::pid_t {
    unsafe extern "C" {
        /// POSIX.1-2024.
        fn _Fork() -> libc::pid_t;
    }
    // SAFETY: by this function's own condition.
    unsafe { _Fork() }
}

/// One line of `/proc/self/maps` (proc(5)) that describes a shared library.
#[derive(Debug, PartialEq, Eq)]
struct Mapping<'a> {
    start: usize,
    length: usize,
    offset: u64,
    /// Readable and not executable.
    is_data: bool,
    /// The library's file name up to `.so`.
    library: &'a str,
}

impl<'a> Mapping<'a> {
    fn overlaps(&self, range: &Range<usize>) -> bool {
        self.start < range.end && range.start < self.start + self.length
    }

    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let rights = fields.next()?;
        let offset = fields.next()?;
        let path = fields.nth(2)?;
        let (library, _) = Path::new(path).file_name()?.to_str()?.split_once(".so")?;
        let address = |text| usize::from_str_radix(text, 16).ok();
        let (start, end) = (address(start)?, address(end)?);
        let offset = u64::from_str_radix(offset, 16).ok()?;
        let is_data = rights.starts_with('r') && !rights.contains('x');
        Some(Self { start, length: end.checked_sub(start)?, offset, is_data, library })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn only_libraries_are_looked_at() {
        let library = "7f2a0000-7f2a3000 r-xp 00001000 fd:00 42    /usr/lib/x86_64-linux-gnu/libX11-xcb.so.1.0.0";
        let mapping =
            Mapping { start: 0x7f2a_0000, length: 0x3000, offset: 0x1000, is_data: false, library: "libX11-xcb" };
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

    #[test]
    fn libraries_that_a_kept_library_points_to_are_kept() {
        let place = |library, start, is_data| Mapping { start, length: 16, offset: 1, is_data, library };
        let mappings = [
            place("liba", 0, true),
            place("libb", 16, true),
            place("libc++", 32, false),
            place("libavcodec", 48, true),
        ];
        let words = [20_usize, 48, 40, 64, 0, 0, 4, 20];
        let mut memory = tempfile::tempfile().expect("a file");
        words.iter().for_each(|word| memory.write_all(&word.to_ne_bytes()).expect("written"));
        let kept = |known: &'static str| with_references(&mappings, BTreeSet::from([known]), &memory);
        assert_eq!(kept("liba"), BTreeSet::from(["liba", "libb", "libc++", "libavcodec"]));
        assert_eq!(kept("libb"), BTreeSet::from(["libb", "libc++"]));
        assert_eq!(kept("libavcodec"), BTreeSet::from(["libavcodec"]));
    }
}
