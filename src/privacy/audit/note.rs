//! Checkpoints as signed notes, with Ed25519: <https://c2sp.org/signed-note>, <https://c2sp.org/tlog-checkpoint>.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::tree::Hash;

/// Kind of signature: Ed25519.
const ED25519_ID: u8 = 1;
/// What a line with a signature begins with.
const SIGNATURE: &str = "\u{2014} ";

/// Why a key or a note is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not 32 bytes in base64.
    #[error("privacy.audit_key must be 32 bytes in base64")]
    Seed,
    /// Not `name+hash+key`.
    #[error("the verifier key is not name+hash+key of Ed25519")]
    Verifier,
    /// Not a note with a checkpoint.
    #[error("it is no checkpoint")]
    Form,
    /// Signed by nobody that is known.
    #[error("it has no valid signature of this key")]
    Signature,
    /// Of another log.
    #[error("it is a checkpoint of another log")]
    Origin,
}

/// Signs checkpoints.
pub struct Signer {
    name: String,
    pair: Ed25519KeyPair,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Verifies checkpoints: the name of the log and its public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    public: Vec<u8>,
}

/// What a checkpoint says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checkpoint {
    /// How many entries there are.
    pub(super) size: u64,
    /// Root of the tree over them.
    pub(super) root: Vec<u8>,
}

impl Signer {
    /// Of the log with this name; `seed` is 32 bytes in base64.
    ///
    /// # Errors
    /// [`NoteError::Seed`]
    pub fn new(name: &str, seed: &str) -> Result<Self, NoteError> {
        let seed = STANDARD.decode(seed.trim()).map_err(|_| NoteError::Seed)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| NoteError::Seed)?;
        Ok(Self { name: name.to_owned(), pair })
    }

    /// Who can verify what this signs.
    #[must_use]
    pub fn verifier(&self) -> Verifier {
        Verifier { name: self.name.clone(), public: self.pair.public_key().as_ref().to_vec() }
    }

    pub(super) fn checkpoint(&self, size: u64, root: &Hash) -> String {
        let text = format!("{}\n{size}\n{}\n", self.name, STANDARD.encode(root));
        let mut signature = self.verifier().id().to_vec();
        signature.extend_from_slice(self.pair.sign(text.as_bytes()).as_ref());
        format!("{text}\n{SIGNATURE}{} {}\n", self.name, STANDARD.encode(signature))
    }
}

impl Verifier {
    /// Reads `name+hash+key`, as [`Verifier::to_text`] writes it.
    ///
    /// # Errors
    /// [`NoteError::Verifier`]
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Verifier);
        };
        let key = STANDARD.decode(key).map_err(|_| NoteError::Verifier)?;
        let Some((&ED25519_ID, public)) = key.split_first() else { return Err(NoteError::Verifier) };
        let verifier = Self { name: name.to_owned(), public: public.to_vec() };
        if public.len() != 32 || hex::encode(verifier.id()) != id {
            return Err(NoteError::Verifier);
        }
        Ok(verifier)
    }

    /// As other software takes it.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{}+{}+{}", self.name, hex::encode(self.id()), STANDARD.encode(self.encoded()))
    }

    /// What a checkpoint says, once its signature is verified.
    pub(super) fn open(&self, note: &str) -> Result<Checkpoint, NoteError> {
        let (text, signatures) = note.split_once("\n\n").ok_or(NoteError::Form)?;
        let text = format!("{text}\n");
        let signed = signatures.lines().filter_map(|line| {
            let (name, signature) = line.strip_prefix(SIGNATURE)?.split_once(' ')?;
            let signature = STANDARD.decode(signature).ok()?;
            let signature = signature.strip_prefix(&self.id())?;
            let key = UnparsedPublicKey::new(&ED25519, &self.public);
            (name == self.name && key.verify(text.as_bytes(), signature).is_ok()).then_some(())
        });
        signed.into_iter().next().ok_or(NoteError::Signature)?;
        let mut lines = text.lines();
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(NoteError::Form);
        };
        if origin != self.name {
            return Err(NoteError::Origin);
        }
        let size = size.parse().map_err(|_| NoteError::Form)?;
        let root = STANDARD.decode(root).map_err(|_| NoteError::Form)?;
        Ok(Checkpoint { size, root })
    }

    fn encoded(&self) -> Vec<u8> {
        [&[ED25519_ID], self.public.as_slice()].concat()
    }

    /// First four bytes of SHA-256 over name, line feed, kind and key.
    fn id(&self) -> [u8; 4] {
        let digest = Sha256::new().chain_update(&self.name).chain_update(b"\n").chain_update(self.encoded()).finalize();
        [digest[0], digest[1], digest[2], digest[3]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(byte: u8) -> Signer {
        Signer::new("mediamill", &STANDARD.encode([byte; 32])).expect("a seed")
    }

    #[test]
    fn a_checkpoint_opens_with_its_own_key_only() {
        let note = signer(1).checkpoint(7, &[9; 32]);
        let verifier = Verifier::parse(&signer(1).verifier().to_text()).expect("a key");
        assert_eq!(verifier.open(&note), Ok(Checkpoint { size: 7, root: vec![9; 32] }));
        assert_eq!(signer(2).verifier().open(&note), Err(NoteError::Signature));
        assert_eq!(verifier.open(&note.replace("\n7\n", "\n8\n")), Err(NoteError::Signature));
        assert_eq!(verifier.open("mediamill\n7\n"), Err(NoteError::Form));
        assert!(Signer::new("mediamill", "c2hvcnQ=").is_err() && Verifier::parse("mediamill+00+AQ==").is_err());
    }

    #[test]
    fn keys_are_those_of_other_software() {
        // RFC 8032 section 7.1, test 1: the public key of a seed.
        let seed = hex::decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").expect("hex");
        let signer = Signer::new("mediamill", &STANDARD.encode(seed)).expect("a seed");
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert_eq!(hex::encode(signer.verifier().public), public);
    }
}
