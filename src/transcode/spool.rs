//! Decoded sound between decoding and encoding: loudness is known only at the end, and the input is decoded once.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};

/// Samples that stay in memory; a minute of stereo at 48 kHz is 5.8 million.
const IN_MEMORY: usize = 8 << 20;

/// Interleaved samples; beyond [`IN_MEMORY`] they go to a file in the scratch directory.
#[derive(Debug, Default)]
pub(super) struct Spool {
    memory: Vec<f32>,
    file: Option<File>,
    written: u64,
}

impl Spool {
    /// Adds samples at the end.
    ///
    /// # Errors
    /// Those of writing the file.
    pub(super) fn push(&mut self, samples: &[f32]) -> io::Result<()> {
        // All of the address space at once: what is not touched costs nothing, growing would copy it again and again.
        self.memory.reserve_exact(IN_MEMORY.saturating_sub(self.memory.len()));
        if self.memory.len() + samples.len() > IN_MEMORY {
            self.spill()?;
        }
        self.memory.extend_from_slice(samples);
        Ok(())
    }

    /// Number of samples, over all channels.
    pub(super) fn len(&self) -> u64 {
        self.written + self.memory.len() as u64
    }

    /// Hands on all samples in order, in pieces of `size` (the last may be shorter).
    ///
    /// # Errors
    /// Those of reading the file, and of `on_piece`.
    pub(super) fn read<E: From<io::Error>>(
        &mut self,
        size: usize,
        on_piece: &mut dyn FnMut(&[f32]) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.file.is_none() {
            return self.memory.chunks(size).try_for_each(on_piece);
        }
        self.spill()?;
        let Some(file) = &mut self.file else { return Ok(()) };
        file.seek(SeekFrom::Start(0))?;
        let mut reader = io::BufReader::with_capacity(1 << 18, file);
        let mut bytes = vec![0; size * 4];
        let mut samples = Vec::with_capacity(size);
        let mut left = self.written;
        while left > 0 {
            let count = left.min(size as u64);
            let piece = &mut bytes[..usize::try_from(count).unwrap_or(size) * 4];
            reader.read_exact(piece)?;
            samples.clear();
            samples.extend(piece.chunks_exact(4).map(|b| f32::from_ne_bytes([b[0], b[1], b[2], b[3]])));
            on_piece(&samples)?;
            left -= count;
        }
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                // The jail lets nobody remove a file: it stays until the scratch directory goes.
                let file = File::options().read(true).write(true).create(true).truncate(true).open("samples.part")?;
                none.insert(file)
            }
        };
        let mut bytes = Vec::with_capacity(1 << 18);
        for piece in self.memory.chunks(1 << 16) {
            bytes.clear();
            bytes.extend(piece.iter().flat_map(|sample| sample.to_ne_bytes()));
            file.write_all(&bytes)?;
        }
        self.written += self.memory.len() as u64;
        self.memory.clear();
        Ok(())
    }
}
