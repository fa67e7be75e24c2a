// use: activation, index
// variant 8x4: ROWS = 8, VECS = 1
// variant 16x4: ROWS = 16, VECS = 1
// variant 16x8: ROWS = 16, VECS = 2
//
// C = A * B per member, m x n with k products each, with the layer's epilogue fused in: bias and
// activation forward, the derivative of the input's activation backward, the bias gradient beside
// the weight gradient. None of the pre-activations or unscaled gradients is ever stored.
//
// A streaming tile without workgroup memory: a workgroup makes ROWS rows, a lane VECS vec4s of
// each, in registers. All lanes read the same elements of A, which a scalar unit or one cache line
// serves; each lane reads its own columns of B once per ROWS rows. Four products of k at a time,
// so that every load is a vec4 in all three orientations; k ascends, whatever the tile.

struct Params {
    m: u32,
    n: u32,
    k: u32,
    lda: u32,
    ldb: u32,
    ldc: u32,
    a_offset: u32,
    a_stride: u32,
    b_offset: u32,
    b_stride: u32,
    c_offset: u32,
    c_stride: u32,
    e_offset: u32,
    e_stride: u32,
    d_offset: u32,
}

// 0 NN: a [m,k], b [k,n]. 1 NT: a [m,k], b [n,k]. 2 TN: a [k,m], b [k,n].
override ORIENTATION: u32 = 0u;
// 0 none, 1 bias and activation, 2 times the activation's derivative at e.
override EPILOGUE: u32 = 0u;
override ACCUMULATE: bool = false;
override BIAS_GRAD: bool = false;
override TILE_LANES: u32 = 32u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> e: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> c: array<vec4<f32>>;

@compute @workgroup_size(TILE_LANES)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let member = group.z;
    let m0 = group.y * ROWS;
    let n0 = group.x * TILE_LANES * VECS + lane;
    let lda = params.lda / 4u;
    let ldb = params.ldb / 4u;
    let ldc = params.ldc / 4u;
    let a0 = (params.a_offset + member * params.a_stride) / 4u;
    let b0 = (params.b_offset + member * params.b_stride) / 4u;
    let c0 = (params.c_offset + member * params.c_stride) / 4u;
    let m_last = params.m - 1u;
    let n_last = params.n - 1u;
    let k_last = params.k - 1u;
    let n4_last = n_last / 4u;

    var acc: array<vec4<f32>, ROWS * VECS>;
    let k4_end = (params.k + 3u) / 4u;
    for (var k4 = 0u; k4 < k4_end; k4 += 1u) {
        let k = k4 * 4u;
        // Four rows of B, as far as k reaches, at this lane's columns.
        var bk: array<vec4<f32>, 4u * VECS>;
        for (var v = 0u; v < VECS; v += 1u) {
            let n4 = min(n0 + v * TILE_LANES, n4_last);
            if ORIENTATION == 1u {
                let n = n4 * 4u;
                let r0 = b[b0 + n * ldb + k4];
                let r1 = b[b0 + min(n + 1u, n_last) * ldb + k4];
                let r2 = b[b0 + min(n + 2u, n_last) * ldb + k4];
                let r3 = b[b0 + min(n + 3u, n_last) * ldb + k4];
                bk[v] = vec4<f32>(r0.x, r1.x, r2.x, r3.x);
                bk[VECS + v] = vec4<f32>(r0.y, r1.y, r2.y, r3.y);
                bk[2u * VECS + v] = vec4<f32>(r0.z, r1.z, r2.z, r3.z);
                bk[3u * VECS + v] = vec4<f32>(r0.w, r1.w, r2.w, r3.w);
            } else {
                let zero = vec4<f32>(0.0);
                bk[v] = b[b0 + k * ldb + n4];
                bk[VECS + v] = select(zero, b[b0 + min(k + 1u, k_last) * ldb + n4], k + 1u <= k_last);
                bk[2u * VECS + v] = select(zero, b[b0 + min(k + 2u, k_last) * ldb + n4], k + 2u <= k_last);
                bk[3u * VECS + v] = select(zero, b[b0 + min(k + 3u, k_last) * ldb + n4], k + 3u <= k_last);
            }
        }
        for (var r = 0u; r < ROWS; r += 4u) {
            // Four rows of A, each with its four products of k.
            var x0: vec4<f32>;
            var x1: vec4<f32>;
            var x2: vec4<f32>;
            var x3: vec4<f32>;
            if ORIENTATION == 2u {
                let m4 = min((m0 + r) / 4u, lda - 1u);
                let y0 = a[a0 + k * lda + m4];
                let y1 = a[a0 + min(k + 1u, k_last) * lda + m4];
                let y2 = a[a0 + min(k + 2u, k_last) * lda + m4];
                let y3 = a[a0 + min(k + 3u, k_last) * lda + m4];
                x0 = vec4<f32>(y0.x, y1.x, y2.x, y3.x);
                x1 = vec4<f32>(y0.y, y1.y, y2.y, y3.y);
                x2 = vec4<f32>(y0.z, y1.z, y2.z, y3.z);
                x3 = vec4<f32>(y0.w, y1.w, y2.w, y3.w);
            } else {
                let m = m0 + r;
                x0 = a[a0 + min(m, m_last) * lda + k4];
                x1 = a[a0 + min(m + 1u, m_last) * lda + k4];
                x2 = a[a0 + min(m + 2u, m_last) * lda + k4];
                x3 = a[a0 + min(m + 3u, m_last) * lda + k4];
            }
            for (var v = 0u; v < VECS; v += 1u) {
                let b_0 = bk[v];
                let b_1 = bk[VECS + v];
                let b_2 = bk[2u * VECS + v];
                let b_3 = bk[3u * VECS + v];
                let i = r * VECS + v;
                acc[i] = dot4(x0, b_0, b_1, b_2, b_3, acc[i]);
                acc[i + VECS] = dot4(x1, b_0, b_1, b_2, b_3, acc[i + VECS]);
                acc[i + 2u * VECS] = dot4(x2, b_0, b_1, b_2, b_3, acc[i + 2u * VECS]);
                acc[i + 3u * VECS] = dot4(x3, b_0, b_1, b_2, b_3, acc[i + 3u * VECS]);
            }
        }
    }

    for (var r = 0u; r < ROWS; r += 1u) {
        for (var v = 0u; v < VECS; v += 1u) {
            let m = m0 + r;
            let n4 = n0 + v * TILE_LANES;
            if m <= m_last && n4 <= n4_last {
                var y = acc[r * VECS + v];
                let at_c = c0 + m * ldc + n4;
                if EPILOGUE == 1u {
                    y = activate(y + e[(params.e_offset + member * params.e_stride) / 4u + n4]);
                }
                if EPILOGUE == 2u {
                    y *= derivative(e[(params.e_offset + member * params.e_stride) / 4u + m * ldc + n4]);
                }
                y = select(vec4<f32>(0.0), y, within(n4 * 4u, params.n));
                if ACCUMULATE {
                    y += c[at_c];
                }
                c[at_c] = y;
            }
        }
    }

    // The bias gradient: the first column of tiles sums its columns of A over k.
    if BIAS_GRAD && group.x == 0u {
        for (var m = m0 + lane; m < min(m0 + ROWS, params.m); m += TILE_LANES) {
            var sum = 0.0;
            for (var k = 0u; k < params.k; k += 1u) {
                sum += a[a0 + k * lda + m / 4u][m % 4u];
            }
            let d = params.d_offset + member * params.c_stride + m;
            if ACCUMULATE {
                sum += c[d / 4u][d % 4u];
            }
            c[d / 4u][d % 4u] = sum;
        }
    }
}

// acc + sum over the four k of x * row of B.
fn dot4(
    x: vec4<f32>,
    b_0: vec4<f32>,
    b_1: vec4<f32>,
    b_2: vec4<f32>,
    b_3: vec4<f32>,
    acc: vec4<f32>,
) -> vec4<f32> {
    var y = fma(vec4<f32>(x.x), b_0, acc);
    y = fma(vec4<f32>(x.y), b_1, y);
    y = fma(vec4<f32>(x.z), b_2, y);
    return fma(vec4<f32>(x.w), b_3, y);
}
