// What the loss heads share: finding a row, its label, and telling a diverged output.

// Stands for a loss that is no number: WGSL promises nothing of NaN and infinity.
const DIVERGED: f32 = 3.0e38;

fn is_finite_bits(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7F800000u) != 0x7F800000u;
}
