//! The Merkle tree of RFC 6962 section 2.1 over a list that only grows. What is kept is the hash of each complete subtree on the
//! right edge: as many as the number of entries has ones in binary.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// SHA-256.
pub(super) type Hash = [u8; 32];

/// The tree over the entries so far.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Tree {
    size: u64,
    /// Roots of complete subtrees, the largest first.
    complete: Vec<Hash>,
}

impl Tree {
    /// How many entries it has.
    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// Adds an entry.
    pub(super) fn add(&mut self, entry: &[u8]) {
        self.complete.push(Sha256::new().chain_update([0]).chain_update(entry).finalize().into());
        self.size += 1;
        // Two subtrees of the same size become one.
        for _ in 0..self.size.trailing_zeros() {
            if let (Some(right), Some(left)) = (self.complete.pop(), self.complete.pop()) {
                self.complete.push(node(&left, &right));
            }
        }
    }

    /// The root over all entries.
    pub(super) fn root(&self) -> Hash {
        let mut subtrees = self.complete.iter().rev();
        let Some(last) = subtrees.next() else { return Sha256::digest([]).into() };
        subtrees.fold(*last, |right, left| node(left, &right))
    }
}

fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The eight leaves and the roots over the first 1 to 8 of them of the reference tests of Certificate Transparency
    /// (google/certificate-transparency, `merkle_tree_test.cc`).
    const LEAVES: [&str; 8] =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    const ROOTS: [&str; 8] = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    #[test]
    fn roots_are_those_of_certificate_transparency() {
        let mut tree = Tree::default();
        assert_eq!(hex::encode(tree.root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        for (n, (leaf, root)) in LEAVES.iter().zip(ROOTS).enumerate() {
            tree.add(&hex::decode(leaf).expect("hex"));
            assert_eq!(hex::encode(tree.root()), root, "{} entries", n + 1);
        }
    }
}
