//! The control socket between worker and fork server: SOCK_SEQPACKET, so that a message arrives as a whole or not at
//! all, with the job's descriptors attached (SCM_RIGHTS).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest message in either direction.
const MAX_MESSAGE_BYTES: usize = 16 * 1024;
/// How many descriptors come with a `Launch` order.
pub(in crate::sandbox) const DESCRIPTORS: usize = 3;

/// Creates the worker's end and the fork server's end.
pub(in crate::sandbox) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Sends one message. If `wait` is false, a full socket is an error instead of a wait.
pub(in crate::sandbox) fn send<T: Serialize>(
    socket: impl AsFd,
    message: &T,
    descriptors: &[BorrowedFd<'_>],
    wait: bool,
) -> io::Result<()> {
    let bytes = serde_json::to_vec(message)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors for one message"));
    }
    let flags = if wait { SendFlags::NOSIGNAL } else { SendFlags::NOSIGNAL | SendFlags::DONTWAIT };
    rustix::io::retry_on_intr(|| sendmsg(&socket, &[IoSlice::new(&bytes)], &mut ancillary, flags))?;
    Ok(())
}

/// Waits for one message; `None` if the other side has closed its end.
pub(in crate::sandbox) fn receive<T: DeserializeOwned>(socket: impl AsFd) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut bytes = [0; MAX_MESSAGE_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let heard = rustix::io::retry_on_intr(|| recvmsg(&socket, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC));
    let length = match heard {
        Ok(message) => message.bytes,
        Err(rustix::io::Errno::CONNRESET) => 0,
        Err(error) => return Err(error.into()),
    };
    if length == 0 {
        return Ok(None);
    }
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    Ok(Some((serde_json::from_slice(&bytes[..length])?, descriptors)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::wire::messages::Order;

    #[test]
    fn a_message_carries_its_descriptors_and_a_closed_end_is_noticed() {
        let (ours, theirs) = pair().expect("a pair");
        let order = Order::Launch { job: 7, scratch_bytes: 8 };
        send(&ours, &order, &[ours.as_fd(), ours.as_fd(), ours.as_fd()], true).expect("sent");
        let (heard, descriptors) = receive::<Order>(&theirs).expect("received").expect("a message");
        assert_eq!((heard, descriptors.len()), (order, 3));
        drop((ours, descriptors));
        assert!(receive::<Order>(&theirs).expect("no error").is_none());
    }
}
