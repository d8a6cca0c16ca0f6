//! Attempts to break out of the sandbox, and abnormal ends, for `mediamill doctor --attack` and for tests. Only a fork server
//! that was started with the option performs them: see [`crate::sandbox::SandboxOptions::escape_probes`].
//!
//! The first line of [`INPUT`] names the attempt and its argument. If the kernel denies it, the answer is
//! `media.sandbox-violation` with the error number; if it succeeds, `worker.broken`. After many of the attempts the
//! kernel ends the child without an answer.
#![expect(unsafe_code, reason = "raw system calls, and crashes on purpose")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;

use crate::error::Code;
use crate::sandbox::wire::messages::{Answer, Verdict};
use crate::task::INPUT;

/// Between two of the things that the fork server counts from time to time.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(10);

/// Performs the attempt that the first line of [`INPUT`] names.
pub(in crate::sandbox) fn attempt(job: &mut File) -> Answer {
    let input = fs::read_to_string(INPUT).unwrap_or_default();
    let line = input.lines().next().unwrap_or_default();
    let (name, argument) = line.split_once(' ').unwrap_or((line, ""));
    match perform(name, argument, job) {
        Ok(gained) => Answer::failed(Verdict::Broken, Code::WorkerBroken, format!("escaped: {gained}")),
        Err(error) => match error.raw_os_error() {
            Some(errno) => Answer::failed(Verdict::Rejected, Code::MediaSandboxViolation, format!("errno {errno}")),
            None => Answer::failed(Verdict::Broken, Code::WorkerBroken, error.to_string()),
        },
    }
}

/// A description of what the attempt gained, or the kernel's error.
fn perform(name: &str, argument: &str, job: &mut File) -> io::Result<String> {
    match name {
        "read" => Ok(format!("{} bytes", fs::read(argument)?.len())),
        "write" => File::create(argument)?.write_all(b"x").map(|()| "wrote".to_owned()),
        "append" => OpenOptions::new().append(true).open(argument)?.write_all(b"x").map(|()| "appended".to_owned()),
        "remove" => fs::remove_file(argument).map(|()| "removed".to_owned()),
        "rename" => fs::rename(argument, "other").map(|()| "renamed".to_owned()),
        "list" => Ok(format!("{} entries", fs::read_dir(argument)?.count())),
        "call" => call(argument),
        "thread" => Ok(format!("{:?}", std::thread::spawn(|| 42).join().ok())),
        "descriptors" => Ok(format!("{:?}", open_descriptors())),
        "addresses" => Ok(addresses()),
        "environment" => Ok(format!("{:?}", std::env::vars_os().collect::<Vec<_>>())),
        "end" => end(argument, job),
        other => Err(io::Error::other(format!("there is no attempt with the name {other}"))),
    }
}

/// `NUMBER ARGUMENT…`: makes any system call with numbers as arguments.
fn call(words: &str) -> io::Result<String> {
    let mut numbers = [0_i64; 7];
    for (slot, word) in numbers.iter_mut().zip(words.split_whitespace()) {
        *slot = word.parse().map_err(io::Error::other)?;
    }
    let [number, a, b, c, d, e, f] = numbers;
    // SAFETY: the tests pass only null or invalid pointers, which the kernel answers with EFAULT.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result.to_string()) }
}

/// The addresses of code and stack, and the random bytes from which the C library derives the stack canary.
fn addresses() -> String {
    let on_stack = 0_u8;
    // SAFETY: the kernel puts sixteen bytes there for every process (getauxval(3)).
    let random = unsafe { *(libc::getauxval(libc::AT_RANDOM) as *const [u8; 16]) };
    format!("code {:p} stack {:p} canary {}", addresses as *const (), &raw const on_stack, hex::encode(random))
}

fn open_descriptors() -> Vec<i32> {
    // SAFETY: reads flags; the kernel answers EBADF for a number that is not a descriptor.
    (0..1024).filter(|fd| unsafe { libc::fcntl(*fd, libc::F_GETFD) } >= 0).collect()
}

/// Ends the process without a proper answer.
fn end(how: &str, job: &mut File) -> io::Result<String> {
    match how {
        "segv" => raise(libc::SIGSEGV),
        "abort" => std::process::abort(),
        // A panic message may contain a hostile file's name or content, which must not reach the log.
        "panic" => std::panic::panic_any("secret".to_owned()),
        "exit" => std::process::exit(3),
        "babble" => job.write_all(b"\xff\xff\xff\xffnonsense")?,
        "hang-up" => {
            // SAFETY: the worker sees the end of the socket; `job` is not used again.
            unsafe { libc::close(job.as_raw_fd()) };
        }
        "memory" => return allocate(),
        "cpu" => loop {
            std::hint::spin_loop();
        },
        "output" => loop {
            OpenOptions::new().create(true).append(true).open("output")?.write_all(&[0; 1 << 16])?;
        },
        "scratch" => {
            for n in 0.. {
                fs::write(format!("output-{n}"), vec![0; 1 << 19])?;
                std::thread::sleep(PAUSE);
            }
        }
        "files" => {
            for n in 0.. {
                File::create(format!("output-{n}"))?;
                std::thread::sleep(PAUSE / 10);
            }
        }
        "threads" => loop {
            std::thread::Builder::new().stack_size(1 << 16).spawn(std::thread::park)?;
            std::thread::sleep(PAUSE / 10);
        },
        "stderr" => (0..4096).for_each(|_| drop(io::stderr().write_all(&[b'x'; 4096]))),
        _ => {}
    }
    std::thread::sleep(std::time::Duration::from_secs(3600));
    Ok("slept".to_owned())
}

fn raise(signal: i32) -> ! {
    // SAFETY: the signal's default action ends the process.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
        libc::_exit(0)
    }
}

fn allocate() -> io::Result<String> {
    let mut hoard = Vec::new();
    loop {
        hoard.push(vec![1_u8; 1 << 24]);
        std::hint::black_box(&hoard);
    }
}
