//! A small seeded source of chance: the same seed makes the same choices on every machine, so that a failure can be
//! replayed.

/// SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Another one for a part of the work, so that its choices do not depend on how many others were made before.
    pub fn part(seed: u64, part: u64) -> Self {
        let mut rng = Self(seed ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        rng.next();
        rng
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0 to `end`, without `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// `from` to `to`, both included.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    /// True once in so many times.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// 0 to about `most`, small ones as often as large ones.
    pub fn spread(&mut self, most: u64) -> u64 {
        let bits = self.below(u64::from(most.max(1).ilog2()) + 2);
        self.below(1 << bits)
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}

/// A number from the environment, to run more of a test or to repeat one case.
pub fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a whole number, not {text:?}")))
}

/// How many cases a property has that is tried so often if nothing else is asked for: RUNTRAIL_TIMES as many, on
/// PostgreSQL an eighth.
pub fn cases(usual: u32) -> u32 {
    // A database on a server is created for each case.
    let usual = if super::database::is_postgres_wanted() { usual.div_ceil(8) } else { usual };
    usual * number("RUNTRAIL_TIMES").map_or(1, |times| u32::try_from(times).unwrap())
}

/// A seed that no earlier run had.
pub fn fresh_seed() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Rng::part(u64::try_from(since.as_micros()).unwrap(), std::process::id().into()).next() >> 16
}
