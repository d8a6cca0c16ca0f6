//! All integration tests: one binary, since linking is slow. One module a subject, what they share in `support`.

#![expect(unreachable_pub, reason = "a test binary has no outside")]

mod architecture;
mod bench;
mod bombs;
mod cli;
mod docker;
mod doctor;
mod fairness;
mod faults;
mod faulty_source;
mod faulty_store;
mod health;
mod hostile;
mod https;
mod lanes;
mod limits;
mod logs;
mod media_container;
mod media_picture;
mod media_sound;
mod media_time;
mod messages;
mod mutations;
mod normalize;
mod pipeline;
mod playback;
mod priority;
mod readme;
mod references;
mod regressions;
mod reliability;
mod sandbox;
mod sandbox_endings;
mod sandbox_escape;
mod sandbox_kernel;
mod source;
mod store;
mod support;
mod traces;
mod versions;
