//! Host-side random numbers: initial weights and shuffles. Counter-based like the kernels', so that
//! what is drawn depends on (seed, purpose, number) and on nothing that happened before.

use crate::cpu::philox::philox;

/// What a stream is for; two purposes never share a draw.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub enum Purpose {
    /// Dropout layers use their number, so these start above them.
    Init = 0x8000_0000,
    Shuffle = 0x8000_0001,
    TestSplit = 0x8000_0002,
    ValSplit = 0x8000_0003,
    Limit = 0x8000_0004,
    /// Where a trial of a study looks, by the trial's number.
    Sampler = 0x8000_0005,
    /// What population-based training tries next, by trial and epoch.
    Explore = 0x8000_0007,
    /// Which fold a sample is in.
    Folds = 0x8000_0006,
    /// Computed data sets, by their number.
    Synthetic = 0x8000_0010,
}

/// A sequence of draws for one seed, purpose and number (a parameter, an epoch).
pub struct Stream {
    key: [u32; 2],
    purpose: u32,
    number: u32,
    block: u32,
    words: [u32; 4],
    used: usize,
}

impl Stream {
    pub fn new(seed: u64, purpose: Purpose, number: u32) -> Stream {
        Stream {
            key: [seed as u32, (seed >> 32) as u32],
            purpose: purpose as u32,
            number,
            block: 0,
            words: [0; 4],
            used: 4,
        }
    }

    pub fn next_u32(&mut self) -> u32 {
        if self.used == 4 {
            self.words = philox([self.block, self.number, self.purpose, 0], self.key);
            self.block += 1;
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }

    /// Uniform in [0, 1), a multiple of 2^-53: two words a draw.
    pub fn unit(&mut self) -> f64 {
        let (high, low) = (self.next_u32() >> 5, self.next_u32() >> 6);
        (f64::from(high) * 67_108_864.0 + f64::from(low)) / 9_007_199_254_740_992.0
    }

    /// Uniform in [-bound, bound).
    pub fn uniform(&mut self, bound: f64) -> f32 {
        let unit = f64::from(self.next_u32()) / 4_294_967_296.0;
        ((2.0 * unit - 1.0) * bound) as f32
    }

    /// Normal with mean 0 and this standard deviation: z = sqrt(-2 ln u) cos(2 pi v) (Box and Muller
    /// 1958), in f64, u in (0, 1] and v in [0, 1) of 32 bits each. Two words a draw: the sine that
    /// would be a second one is not kept, so that draw n depends on n alone. |z| is at most
    /// sqrt(64 ln 2) = 6.66. The logarithm and the cosine are libm's, the same bits everywhere.
    pub fn normal(&mut self, std: f64) -> f32 {
        let u = (f64::from(self.next_u32()) + 1.0) / 4_294_967_296.0;
        let v = f64::from(self.next_u32()) / 4_294_967_296.0;
        let z = (-2.0 * libm::log(u)).sqrt() * libm::cos(std::f64::consts::TAU * v);
        (z * std) as f32
    }

    /// Uniform in 0..n, without bias (Lemire 2019, arXiv:1805.10941).
    ///
    /// # Panics
    /// If n is 0.
    pub fn below(&mut self, n: u32) -> u32 {
        assert!(n > 0, "nothing is below 0");
        let threshold = n.wrapping_neg() % n;
        loop {
            let product = u64::from(self.next_u32()) * u64::from(n);
            if product as u32 >= threshold {
                return (product >> 32) as u32;
            }
        }
    }

    /// Fisher and Yates' shuffle, as Durstenfeld wrote it down in 1964.
    pub fn shuffle(&mut self, items: &mut [u32]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u32 + 1) as usize;
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_is_a_permutation_and_depends_on_seed_and_epoch() {
        let shuffled = |seed, epoch| {
            let mut items: Vec<u32> = (0..1000).collect();
            Stream::new(seed, Purpose::Shuffle, epoch).shuffle(&mut items);
            items
        };
        let a = shuffled(1, 1);
        let mut sorted = a.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1000).collect::<Vec<u32>>());
        assert_eq!(a, shuffled(1, 1));
        assert_ne!(a, shuffled(2, 1));
        assert_ne!(a, shuffled(1, 2));
        assert_ne!(a, shuffled(1 << 32 | 1, 1));
    }

    #[test]
    fn below_is_even() {
        let mut counts = [0u32; 7];
        let mut stream = Stream::new(3, Purpose::Init, 0);
        for _ in 0..70_000 {
            counts[stream.below(7) as usize] += 1;
        }
        // 10,000 expected; a standard deviation is 93
        assert!(
            counts.iter().all(|c| c.abs_diff(10_000) < 500),
            "{counts:?}"
        );
    }

    #[test]
    fn uniform_fills_its_range() {
        let mut stream = Stream::new(3, Purpose::Init, 1);
        let draws: Vec<f32> = (0..10_000).map(|_| stream.uniform(0.5)).collect();
        assert!(draws.iter().all(|x| (-0.5..=0.5).contains(x)));
        let mean = draws.iter().sum::<f32>() / 10_000.0;
        assert!(mean.abs() < 0.015, "{mean}");
        assert!(draws.iter().any(|&x| x > 0.49) && draws.iter().any(|&x| x < -0.49));
    }
}
