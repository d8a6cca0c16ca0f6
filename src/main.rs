//! The program: becomes a fork server if it was started as one, otherwise runs the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    // First of all: a fork server must not have a second thread, nor may its start depend on anything below.
    #[cfg(feature = "media")]
    if let Some(code) = mediamill::sandbox::maybe_fork_server(mediamill::transcode::WORK) {
        return code;
    }
    mediamill::cli::main()
}
