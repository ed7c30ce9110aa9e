//! Many runs.

use crate::{Broken, Chooser, Odometer, Outcome, Seeded};
use alloc::vec::Vec;
use core::ops::Range;

/// One run in so many is run again, to see that the same choices give the same trace.
const AGAIN: u64 = 16;

/// Runs a world for every seed. Answers how many came to their end.
///
/// # Panics
/// When a law breaks: the message names the seed, the law, the choices, and tells the last steps.
pub fn seeds(
    seeds: Range<u64>,
    mut run: impl FnMut(&mut Seeded) -> Result<Outcome, Broken>,
) -> u64 {
    let count = seeds.end.saturating_sub(seeds.start);
    for seed in seeds {
        let mut chooser = Seeded::new(seed);
        let outcome = match run(&mut chooser) {
            Ok(outcome) => outcome,
            Err(broken) => panic!("seed {seed}: {broken}\nchoices {:?}", chooser.choices()),
        };
        if seed % AGAIN == 0 {
            let again = run(&mut Seeded::new(seed)).ok();
            assert_eq!(
                again.map(|again| again.hash),
                Some(outcome.hash),
                "seed {seed}: the same choices gave another trace"
            );
        }
    }
    count
}

/// Runs a world for every combination of choices. Answers how many runs there are.
///
/// # Panics
/// When a law breaks (the message lists the choices, which [`crate::Scripted::from_choices`]
/// repeats), or when there are more than `most` runs.
pub fn every_run(most: u64, mut run: impl FnMut(&mut Odometer) -> Result<Outcome, Broken>) -> u64 {
    let mut odometer = Odometer::default();
    let mut runs = 0;
    loop {
        if let Err(broken) = run(&mut odometer) {
            let choices: Vec<u32> = odometer.choices().to_vec();
            panic!("run {runs}: {broken}\nchoices {choices:?}");
        }
        runs += 1;
        if !odometer.advance() {
            return runs;
        }
        assert!(runs < most, "more than {most} runs: the world is not small");
    }
}
