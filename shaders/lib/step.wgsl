// One row of the step table [S, P]; the twin of plan::StepRow.
struct Step {
    valid: u32,
    draw: u32,
    lr: f32,
    step_size: f32,
    inv_sqrt_bias2: f32,
    decay: f32,
    grad_scale: f32,
    loss_scale: f32,
    begins: u32,
    applies: u32,
    ema_rest: f32,
    label_smoothing: f32,
}

// Where this dispatch stands in the tables: bound with a dynamic offset, so that a step needs no
// upload and no bind group of its own.
struct At {
    slot: u32,
}

@group(1) @binding(0) var<uniform> at: At;
