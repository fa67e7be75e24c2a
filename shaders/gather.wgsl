// use: step, index
//
// x[p,b,j] = (sample - centre) * scale, from u8 or f32 samples by an index list; zero where
// b >= valid. One invocation makes four neighbouring columns: one word of u8 samples.

struct Params {
    members: u32,
    batch: u32,
    cols: u32,
    ld: u32,
    row_words: u32,
    n_norm: u32,
    norm_span: u32,
    floats: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> pixels: array<u32>;
@group(0) @binding(2) var<storage, read> indices: array<u32>;
@group(0) @binding(3) var<storage, read> steps: array<Step>;
@group(0) @binding(4) var<storage, read> norm: array<vec2<f32>>;
@group(0) @binding(5) var<storage, read_write> x: array<vec4<f32>>;

fn normalise(value: f32, column: u32, table: u32) -> f32 {
    let entry = norm[table + (column / params.norm_span) % params.n_norm];
    return (value - entry.y) * entry.x;
}

// Four samples from `column` on of the sample whose first word is `start`.
fn four_samples(start: u32, column: u32) -> vec4<f32> {
    if params.floats != 0u {
        let ix = start + column;
        let words = vec4<u32>(pixels[ix], pixels[ix + 1u], pixels[ix + 2u], pixels[ix + 3u]);
        return bitcast<vec4<f32>>(words);
    }
    let word = pixels[start + column / 4u];
    return vec4<f32>((vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(0xFFu));
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
        let value = four_samples(sample * params.row_words, column);
        let table = member * params.n_norm;
        if params.n_norm == 1u {
            let entry = norm[table];
            y = (value - entry.y) * entry.x;
        } else {
            y = vec4<f32>(
                normalise(value.x, column, table),
                normalise(value.y, column + 1u, table),
                normalise(value.z, column + 2u, table),
                normalise(value.w, column + 3u, table),
            );
        }
        y = select(vec4<f32>(0.0), y, within(column, params.cols));
    }
    x[ix] = y;
}
