// What the loss heads share: finding a row, its label, and telling a diverged output.

// Stands for a loss that is no number: WGSL promises nothing of NaN and infinity. Far above any loss
// that means something, and a batch of them still sums to a finite number.
const DIVERGED: f32 = 1.0e30;

fn is_finite_bits(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7F800000u) != 0x7F800000u;
}
