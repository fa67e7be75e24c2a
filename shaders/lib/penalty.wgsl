// The data gradient with the gradients of l1 |w| and l2 w^2, given l1 and 2 l2; sign(0) = 0. Weights lie before
// biases in the arena, so one comparison tells them apart.
fn penalised(l1: f32, twice_l2: f32, w: vec4<f32>, g: vec4<f32>, is_weight: bool) -> vec4<f32> {
    if !is_weight {
        return g;
    }
    return g + l1 * sign(w) + twice_l2 * w;
}
