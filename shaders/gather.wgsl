// use: step, index
//
// x[p,b,j] = pixel * scale + shift, from u8 pixels by an index list; zero where b >= valid.
// One invocation makes four neighbouring columns: one word of pixels.

struct Params {
    members: u32,
    batch: u32,
    cols: u32,
    ld: u32,
    row_words: u32,
    n_norm: u32,
    norm_span: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> pixels: array<u32>;
@group(0) @binding(2) var<storage, read> indices: array<u32>;
@group(0) @binding(3) var<storage, read> steps: array<Step>;
@group(0) @binding(4) var<storage, read> norm: array<vec2<f32>>;
@group(0) @binding(5) var<storage, read_write> x: array<vec4<f32>>;

fn normalise(pixel: u32, column: u32, table: u32) -> f32 {
    let entry = norm[table + (column / params.norm_span) % params.n_norm];
    return f32(pixel) * entry.x + entry.y;
}

@compute @workgroup_size(LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) n_groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let ix = flat_index(group, n_groups, lane);
    let ld4 = params.ld / 4u;
    let row = ix / ld4;
    let n_rows = params.members * params.batch;
    if row >= n_rows {
        return;
    }
    let column = (ix % ld4) * 4u;
    let member = row / params.batch;
    var y = vec4<f32>(0.0);
    if row % params.batch < steps[at.slot * params.members + member].valid {
        let sample = indices[at.slot * n_rows + row];
        let word = pixels[sample * params.row_words + column / 4u];
        let pixel = (vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(0xFFu);
        let table = member * params.n_norm;
        if params.n_norm == 1u {
            let entry = norm[table];
            y = vec4<f32>(pixel) * entry.x + entry.y;
        } else {
            y = vec4<f32>(
                normalise(pixel.x, column, table),
                normalise(pixel.y, column + 1u, table),
                normalise(pixel.z, column + 2u, table),
                normalise(pixel.w, column + 3u, table),
            );
        }
        y = select(vec4<f32>(0.0), y, within(column, params.cols));
    }
    x[ix] = y;
}
