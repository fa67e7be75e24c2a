// The data gradient with the gradients of l1 |w| and l2 w^2; sign(0) = 0. Weights lie before
// biases in the arena, so one comparison tells them apart.
fn penalised(row: ptr<function, Member>, w: vec4<f32>, g: vec4<f32>, is_weight: bool) -> vec4<f32> {
    if !is_weight {
        return g;
    }
    return g + (*row).l1 * sign(w) + (2.0 * (*row).l2) * w;
}
