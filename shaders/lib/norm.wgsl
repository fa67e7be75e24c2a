// What is added to a variance before its root is taken: NORM_EPS in plan/kernel.rs.
const NORM_EPS: f32 = 1e-5;
