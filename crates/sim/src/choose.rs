//! Where decisions come from.

use alloc::vec::Vec;

/// Decides everything that a world leaves open.
///
/// By convention choice 0 is the harmless one, so that a chooser that has run dry ends a run well.
pub trait Chooser {
    /// Picks one of `n`: a number below `n`, 0 where `n` is 0 or 1.
    fn choose(&mut self, n: u32) -> u32;

    /// Says whether something happens that happens once in `one_in` times; never for 0.
    ///
    /// A chooser that walks every run takes it for one choice of two, however rare.
    fn rarely(&mut self, one_in: u32) -> bool;

    /// The choices so far, for the report of a failure.
    fn choices(&self) -> &[u32] {
        &[]
    }
}

/// Random choices from a seed (SplitMix64), remembered for the report.
#[derive(Clone, Debug)]
pub struct Seeded {
    state: u64,
    made: Vec<u32>,
}

impl Seeded {
    /// The choices that belong to this seed.
    pub const fn new(seed: u64) -> Self {
        Self {
            state: seed,
            made: Vec::new(),
        }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u32) -> u32 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u32
    }
}

impl Chooser for Seeded {
    fn choose(&mut self, n: u32) -> u32 {
        if n < 2 {
            return 0;
        }
        let picked = self.below(n);
        self.made.push(picked);
        picked
    }

    fn rarely(&mut self, one_in: u32) -> bool {
        if one_in == 0 {
            return false;
        }
        let happens = self.below(one_in) == 0;
        self.made.push(u32::from(happens));
        happens
    }

    fn choices(&self) -> &[u32] {
        &self.made
    }
}

/// Walks every run: counts through all combinations of choices, the last one fastest.
#[derive(Clone, Debug, Default)]
pub struct Odometer {
    wheels: Vec<(u32, u32)>,
    at: usize,
    made: Vec<u32>,
}

impl Odometer {
    /// Goes to the next run. Answers whether there is one.
    pub fn advance(&mut self) -> bool {
        self.wheels.truncate(self.at);
        self.at = 0;
        self.made.clear();
        while let Some((picked, n)) = self.wheels.pop() {
            if picked + 1 < n {
                self.wheels.push((picked + 1, n));
                return true;
            }
        }
        false
    }
}

impl Chooser for Odometer {
    fn choose(&mut self, n: u32) -> u32 {
        if n < 2 {
            return 0;
        }
        if self.at == self.wheels.len() {
            self.wheels.push((0, n));
        }
        let picked = self
            .wheels
            .get(self.at)
            .map_or(0, |(picked, _)| *picked)
            .min(n - 1);
        self.at += 1;
        self.made.push(picked);
        picked
    }

    fn rarely(&mut self, one_in: u32) -> bool {
        one_in > 0 && self.choose(2) == 1
    }

    fn choices(&self) -> &[u32] {
        &self.made
    }
}

/// Takes choices from a fuzzer's octets or from a report; 0 once they have run out.
#[derive(Clone, Debug)]
pub struct Scripted {
    script: Vec<u32>,
    at: usize,
    /// From which number on a rare thing happens.
    rare_from: u32,
}

impl Scripted {
    /// Takes each octet for a choice; a rare thing happens at 250 and above.
    pub fn from_octets(octets: &[u8]) -> Self {
        Self {
            script: octets.iter().map(|&octet| u32::from(octet)).collect(),
            at: 0,
            rare_from: 250,
        }
    }

    /// Repeats the choices that the report of a failure lists.
    pub const fn from_choices(script: Vec<u32>) -> Self {
        Self {
            script,
            at: 0,
            rare_from: 1,
        }
    }

    fn next(&mut self) -> u32 {
        let picked = self.script.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        picked
    }
}

impl Chooser for Scripted {
    fn choose(&mut self, n: u32) -> u32 {
        if n < 2 {
            return 0;
        }
        self.next() % n
    }

    fn rarely(&mut self, one_in: u32) -> bool {
        one_in > 0 && self.next() >= self.rare_from
    }

    fn choices(&self) -> &[u32] {
        &self.script
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_odometer_walks_every_combination_once() {
        let mut odometer = Odometer::default();
        let mut runs = Vec::new();
        loop {
            let first = odometer.choose(2);
            // The second choice exists only behind a 1, as in a world that forks.
            let second = if first == 1 { odometer.choose(3) } else { 9 };
            runs.push((first, second));
            if !odometer.advance() {
                break;
            }
        }
        assert_eq!(runs, [(0, 9), (1, 0), (1, 1), (1, 2)]);
    }

    #[test]
    fn seeds_repeat_and_stay_in_range() {
        let (mut a, mut b) = (Seeded::new(7), Seeded::new(7));
        let mut seen = [0u32; 5];
        for _ in 0..500 {
            let picked = a.choose(5);
            assert_eq!(picked, b.choose(5));
            seen[picked as usize] += 1;
        }
        assert!(seen.iter().all(|&n| n > 60), "{seen:?}");
        assert_eq!(a.choices(), b.choices());
        assert!(!(0..100).any(|_| a.rarely(0)));
        assert!((0..100).all(|_| a.rarely(1)));
    }

    #[test]
    fn a_script_that_has_run_out_chooses_the_harmless() {
        let mut script = Scripted::from_octets(&[7, 1]);
        assert_eq!((script.choose(4), script.choose(2)), (3, 1));
        assert_eq!(script.choose(9), 0);
        assert!(!script.rarely(2));
    }

    #[test]
    fn the_choices_of_a_seed_are_a_script_of_the_same_run() {
        let run = |chooser: &mut dyn Chooser| {
            (0..200)
                .map(|i| chooser.choose(i % 7) + 10 * u32::from(chooser.rarely(i % 5)))
                .collect::<Vec<_>>()
        };
        let mut seeded = Seeded::new(3);
        let first = run(&mut seeded);
        let mut script = Scripted::from_choices(seeded.choices().to_vec());
        assert_eq!(first, run(&mut script));
    }
}
