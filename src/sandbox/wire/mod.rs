//! The messages between the three processes: command line, control socket, job socket.

pub(super) mod arguments;
pub(super) mod control_socket;
pub(super) mod frames;
pub(super) mod messages;
