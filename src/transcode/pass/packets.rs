//! Reads packets from the input, and stores encoded packets until they are written. They are much smaller than frames,
//! but those of a long video may still not fit into memory.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;

use ffmpeg_next as ff;

use crate::error::Fault;
use crate::transcode::av::{self, Input};
use crate::vocabulary::Damage;

/// Passes on every packet until the container ends or breaks off. A break is noted, and the packets before it remain
/// usable.
///
/// # Errors
/// Those of `on_packet`, and a lack of memory.
pub(in crate::transcode) fn each_packet(
    input: &mut Input,
    damage: &mut Damage,
    on_packet: &mut dyn FnMut(&Input, &mut ff::Packet) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut packet = ff::Packet::empty();
    loop {
        match input.read(&mut packet) {
            Ok(true) => on_packet(input, &mut packet)?,
            Ok(false) => return Ok(()),
            Err(error) => {
                if let Some(fault) = av::machine_fault(error, "reading the container") {
                    return Err(fault);
                }
                damage.truncated = true;
                return Ok(());
            }
        }
    }
}

/// How many bytes stay in memory.
const IN_MEMORY: usize = 32 << 20;

struct Entry {
    pts: Option<i64>,
    dts: Option<i64>,
    duration: i64,
    flags: ff::packet::Flags,
    offset: u64,
    size: usize,
    /// How many samples at the start of the first packet and at the end of the last one are not heard. This makes
    /// lengths exact.
    trim: Option<[u8; 10]>,
}

/// Packets of one stream in decoding order. Bytes beyond [`IN_MEMORY`] are written to a file.
pub(in crate::transcode) struct PacketSpool {
    entries: Vec<Entry>,
    memory: Vec<u8>,
    file: Option<File>,
    written: u64,
    name: &'static str,
}

impl PacketSpool {
    /// `name` is the file that is used if memory is not enough.
    pub(in crate::transcode) const fn new(name: &'static str) -> Self {
        Self { entries: Vec::new(), memory: Vec::new(), file: None, written: 0, name }
    }

    /// Adds a packet.
    ///
    /// # Errors
    /// Those of writing the file.
    pub(in crate::transcode) fn push(&mut self, packet: &ff::Packet) -> io::Result<()> {
        let data = packet.data().unwrap_or_default();
        // All at once: unused address space costs nothing, but growing would copy the bytes again and again.
        self.memory.reserve_exact(IN_MEMORY.saturating_sub(self.memory.len()));
        if self.memory.len() + data.len() > IN_MEMORY {
            self.spill()?;
        }
        self.entries.push(Entry {
            pts: packet.pts(),
            dts: packet.dts(),
            duration: packet.duration(),
            flags: packet.flags(),
            offset: self.written + self.memory.len() as u64,
            size: data.len(),
            trim: av::trim(packet),
        });
        self.memory.extend_from_slice(data);
        Ok(())
    }

    /// Extends the last packet to the end of the video, because no packet says how long the last frame is shown.
    pub(in crate::transcode) fn end_at(&mut self, end: i64) {
        let first_dts = self.entries.first().and_then(|entry| entry.dts);
        if let Some(last) = self.entries.last_mut()
            && let Some(pts) = last.pts
        {
            last.duration = end.saturating_sub(pts).max(last.duration);
            // A track's length is measured by DTS, from the first one to the end of the last. If frames are missing
            // before the last ones, these would end too early without this.
            let latest = first_dts.map_or(pts, |first_dts| pts.saturating_add(first_dts.min(0)));
            last.dts = last.dts.map(|dts| dts.max(latest));
        }
    }

    /// The number of packets.
    pub(in crate::transcode) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The DTS of a packet.
    pub(in crate::transcode) fn dts(&self, index: usize) -> Option<i64> {
        self.entries.get(index).and_then(|entry| entry.dts)
    }

    /// Reads a packet back.
    ///
    /// # Errors
    /// Those of reading the file.
    pub(in crate::transcode) fn get(&self, index: usize) -> io::Result<ff::Packet> {
        let entry = &self.entries[index];
        let mut packet = if entry.offset >= self.written {
            let from = usize::try_from(entry.offset - self.written).unwrap_or(usize::MAX);
            ff::Packet::copy(&self.memory[from..from + entry.size])
        } else {
            let mut bytes = vec![0; entry.size];
            if let Some(file) = &self.file {
                file.read_exact_at(&mut bytes, entry.offset)?;
            }
            ff::Packet::copy(&bytes)
        };
        packet.set_pts(entry.pts);
        packet.set_dts(entry.dts);
        packet.set_duration(entry.duration);
        packet.set_flags(entry.flags);
        if let Some(trim) = &entry.trim {
            av::set_trim(&mut packet, trim);
        }
        Ok(packet)
    }

    fn spill(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let file = File::options().read(true).write(true).create(true).truncate(true).open(self.name)?;
                none.insert(file)
            }
        };
        file.write_all(&self.memory)?;
        self.written += self.memory.len() as u64;
        self.memory.clear();
        Ok(())
    }
}

impl Drop for PacketSpool {
    fn drop(&mut self) {
        // The jail forbids removing files. An emptied file takes no space next to the output. If truncating fails, the
        // space is freed with the job's directory.
        if let Some(file) = &self.file {
            file.set_len(0).ok();
        }
    }
}
