//! Damage by number: the same seed, sources and number always give the same bytes.

/// A generator that no release of a crate changes (splitmix64, Steele, Lea and Flood 2014).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`; 0 where there is nothing below.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(end.max(1)).expect("64 bits")).expect("below a usize")
    }

    /// A place in so many bytes: every other time among the first 4096, where the headers are.
    fn place(&mut self, length: usize) -> usize {
        if self.below(2) == 0 { self.below(length.min(4096)) } else { self.below(length) }
    }
}

/// A damaged file, and how it came to be.
#[derive(Debug)]
pub struct Mutant {
    /// Index of the file that it was.
    pub source: usize,
    /// What was done to it, for people.
    pub recipe: String,
    /// What is left.
    pub bytes: Vec<u8>,
}

/// The `n`th mutant of `seed`.
pub fn mutant(sources: &[Vec<u8>], seed: u64, n: u64) -> Mutant {
    let mut dice = Dice(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ n);
    let source = dice.below(sources.len());
    let mut bytes = sources[source].clone();
    let mut recipe = Vec::new();
    for _ in 0..=dice.below(4) {
        recipe.push(damage(&mut bytes, sources, &mut dice));
    }
    Mutant { source, recipe: recipe.join(", "), bytes }
}

fn damage(bytes: &mut Vec<u8>, sources: &[Vec<u8>], dice: &mut Dice) -> String {
    match dice.below(8) {
        0 | 1 => flip_bits(bytes, dice),
        2 => {
            bytes.truncate(dice.below(bytes.len() + 1));
            format!("cut to {}", bytes.len())
        }
        3 => splice(bytes, &sources[dice.below(sources.len())], dice),
        4 => {
            let (at, length) = range(bytes.len(), dice);
            bytes.drain(at..at + length);
            format!("{length} bytes taken out at {at}")
        }
        _ => edit_length(bytes, dice),
    }
}

fn flip_bits(bytes: &mut [u8], dice: &mut Dice) -> String {
    let count = 1 + dice.below(64);
    for _ in 0..count {
        let at = dice.place(bytes.len());
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1 << dice.below(8);
        }
    }
    format!("{count} bits flipped")
}

/// A piece of another file, over or between what was there.
fn splice(bytes: &mut Vec<u8>, other: &[u8], dice: &mut Dice) -> String {
    let (from, length) = range(other.len(), dice);
    let at = dice.place(bytes.len());
    let replaced = if dice.below(2) == 0 { 0 } else { length.min(bytes.len() - at) };
    bytes.splice(at..at + replaced, other[from..from + length].iter().copied());
    format!("{length} bytes of another put in at {at}")
}

/// Sets what looks like a length to something that it was not.
fn edit_length(bytes: &mut [u8], dice: &mut Dice) -> String {
    if bytes.len() < 12 {
        return flip_bits(bytes, dice);
    }
    let at = find_length(bytes, dice);
    let width = [1, 2, 4, 4, 4, 8][dice.below(6)].min(bytes.len() - at);
    let field = &mut bytes[at..at + width];
    let old = field.iter().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    let new = match dice.below(8) {
        0 => 0,
        1 => u64::MAX,
        2 => u64::MAX >> 1 >> (64 - 8 * width),
        3 => old.wrapping_add(1),
        4 => old.wrapping_sub(1),
        5 => old.wrapping_mul(2),
        6 => 1 << dice.below(8 * width),
        _ => dice.roll(),
    };
    field.copy_from_slice(&new.to_be_bytes()[8 - width..]);
    if dice.below(3) == 0 {
        field.reverse();
    }
    format!("{width} bytes at {at} from {old:#x} to {new:#x}")
}

/// Beside four letters, where ISO boxes and RIFF chunks have their sizes; after some search, anywhere.
fn find_length(bytes: &[u8], dice: &mut Dice) -> usize {
    for _ in 0..2000 {
        let at = dice.place(bytes.len() - 11);
        if bytes[at + 4..at + 8].iter().all(u8::is_ascii_alphanumeric) {
            // The size stands before the name in the one, behind it in the other; what follows is version or count.
            return at + [0, 0, 8][dice.below(3)];
        }
    }
    dice.place(bytes.len() - 8)
}

fn range(length: usize, dice: &mut Dice) -> (usize, usize) {
    let at = dice.place(length);
    let longest = if dice.below(2) == 0 { 64 } else { length };
    (at, dice.below((length - at).min(longest) + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutant_is_a_function_of_its_number() {
        let sources = [vec![7; 5000], b"\0\0\0\x18ftypisom\0\0\0\0isomiso2".to_vec(), Vec::new()];
        let different = (0..200).filter(|n| {
            let (one, other) = (mutant(&sources, 3, *n), mutant(&sources, 3, *n));
            assert_eq!(one.bytes, other.bytes);
            one.bytes != mutant(&sources, 4, *n).bytes
        });
        assert!(different.count() > 150);
    }
}
