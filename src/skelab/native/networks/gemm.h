// The product at the heart of every kernel: rows of activations times a matrix of weights.
//
//   c[row][n] = act( bias[n] + residual[row][n] + sum over taps t and k of
//                    a[row][t * a_tap + k] * b[t][k][n] )
//
// A tap is another place of the same length in `a`: a frame before or after (temporal
// convolutions), or another scale of a graph. The columns are cut into panels of one to three
// vectors. Of a panel, as many rows as fit the registers are computed at once (a *tile*): their
// sums never leave the registers, each weight that is loaded serves all rows of the tile, and each
// number of `a` all vectors of the panel.
#pragma once

#include <algorithm>
#include <array>
#include <utility>

#include "memory.h"
#include "simd.h"

namespace skelab {

// Rows of a tile whose sums, with one vector of `a` and those of `b`, fill the registers.
constexpr int rows_of_tile(int vectors) {
    return std::min((kRegisters - vectors - 1) / vectors, 14);
}

// Vectors of the panels that so many vectors of columns are cut into; the last may have fewer.
constexpr int panel_vectors(int vectors) {
    if (vectors == 3) return 3;
    return kRegisters == 32 && vectors % 3 == 0 ? 3 : std::min(vectors, 2);
}

// The right factor: K x N for each tap, packed by `Weights` or, not packed, rows anywhere. Of
// bfloat16 two rows stand number by number in one, since the processor multiplies them in pairs.
template <class Number>
struct Right {
    const Number* start;
    bool packed;
    long row;  // numbers from one row to the next, and from tap to tap, where it is not packed
    long tap;
};

template <class In, class Out>
struct Product {
    long rows;
    int columns;  // a multiple of kLanes
    const In* a;
    long a_row;
    int depth;  // numbers of `a` that a tap has, a multiple of Factors<In>::kDepth
    int taps;
    long a_tap;
    Right<In> b;
    const float* bias;    // null: zero
    long bias_row;        // from that of one row to the next; 0: all rows have the same
    const Out* residual;  // null: none; may be `c`
    long residual_row;
    Out* c;
    long c_row;
    bool rectify;
};

// One panel of a product: `b`, `bias`, `residual` and `c` start at its first column.
template <class In, class Out>
struct Panel {
    const Product<In, Out>& whole;
    const In* b;
    long b_row, b_tap;
    const float* bias;
    const Out* residual;
    Out* c;
};

template <int kRows, int kVectors, class In, class Out>
void compute_tile(const Panel<In, Out>& panel, long row) {
    using F = Factors<In>;
    const Product<In, Out>& p = panel.whole;
    const long a_row = p.a_row;
    Vector sums[kRows][kVectors];
    SKELAB_UNROLL for (int r = 0; r < kRows; ++r) {
        const float* bias = panel.bias ? panel.bias + (row + r) * p.bias_row : nullptr;
        SKELAB_UNROLL for (int v = 0; v < kVectors; ++v)
            sums[r][v] = bias ? load(bias + v * kLanes) : Vector{};
    }
    for (int tap = 0; tap < p.taps; ++tap) {
        const In* a = p.a + row * a_row + tap * p.a_tap;
        const In* b = panel.b + tap * panel.b_tap;
        for (int k = 0; k < p.depth; k += F::kDepth, a += F::kDepth, b += panel.b_row) {
            typename F::Wide right[kVectors];
            SKELAB_UNROLL for (int v = 0; v < kVectors; ++v)
                right[v] = F::right(b + v * kLanes * F::kDepth);
            SKELAB_UNROLL for (int r = 0; r < kRows; ++r) {
                const typename F::Wide left = F::left(a + r * a_row);
                SKELAB_UNROLL for (int v = 0; v < kVectors; ++v)
                    sums[r][v] = F::add(sums[r][v], left, right[v]);
            }
        }
    }
    SKELAB_UNROLL for (int r = 0; r < kRows; ++r) {
        SKELAB_UNROLL for (int v = 0; v < kVectors; ++v) {
            Vector sum = sums[r][v];
            if (panel.residual)
                sum += load(panel.residual + (row + r) * p.residual_row + v * kLanes);
            store(panel.c + (row + r) * p.c_row + v * kLanes, p.rectify ? rectified(sum) : sum);
        }
    }
}

template <class In, class Out>
using Tile = void (*)(const Panel<In, Out>&, long);

template <int kVectors, class In, class Out, int... kRows>
constexpr std::array<Tile<In, Out>, sizeof...(kRows)> tiles_of(std::integer_sequence<int, kRows...>) {
    return {compute_tile<kRows + 1, kVectors, In, Out>...};
}

// The tiles of a panel: the rows are shared out evenly, so that no tile is left with one row.
template <int kVectors, class In, class Out>
void compute_panel(const Panel<In, Out>& panel, long first, long last) {
    constexpr int kMost = rows_of_tile(kVectors);
    static constexpr auto kTiles =
        tiles_of<kVectors, In, Out>(std::make_integer_sequence<int, kMost>());
    for (long left = (last - first + kMost - 1) / kMost; left > 0; --left) {
        const long rows = (last - first) / left;
        kTiles[rows - 1](panel, first);
        first += rows;
    }
}

constexpr long kRowsAtOnce = 96;  // of `a`, which stay in the cache while all panels pass

template <class In, class Out>
void multiply(const Product<In, Out>& p) {
    const int vectors = p.columns / kLanes, widest = panel_vectors(vectors);
    constexpr int kDepth = Factors<In>::kDepth;
    for (long first = 0; first < p.rows; first += kRowsAtOnce) {
        const long last = std::min(first + kRowsAtOnce, p.rows);
        for (int v = 0; v < vectors; v += widest) {
            const int width = std::min(widest, vectors - v);
            const long n = long(v) * kLanes, before = n * p.depth * p.taps;
            Panel<In, Out> panel{p,
                                 p.b.start + (p.b.packed ? before : n * kDepth),
                                 p.b.packed ? width * kLanes * kDepth : p.b.row,
                                 p.b.packed ? long(width) * kLanes * p.depth : p.b.tap,
                                 p.bias ? p.bias + n : nullptr,
                                 p.residual ? p.residual + n : nullptr,
                                 p.c + n};
            if (width == 3) compute_panel<3>(panel, first, last);
            if (width == 2) compute_panel<2>(panel, first, last);
            if (width == 1) compute_panel<1>(panel, first, last);
        }
    }
}

constexpr int rounded_up(int number, int multiple) {
    return (number + multiple - 1) / multiple * multiple;
}

// A right factor, taps x K x N, laid out panel by panel in the order in which tiles read it.
template <class Number>
class Weights {
public:
    Weights() = default;
    // `row`: from one row of the matrix to the next, where it is part of a wider one.
    Weights(const float* matrix, int taps, int depth, int columns, int row = 0)
        : taps_(taps), depth_(rounded_up(depth, kDepth)), columns_(columns) {
        packed_ = AlignedArray<Number>(size_t(taps) * depth_ * columns);
        Number* to = packed_.data();
        const int vectors = columns / kLanes, widest = panel_vectors(vectors);
        if (row == 0) row = columns;
        for (int v = 0; v < vectors; v += widest)
            for (int tap = 0; tap < taps; ++tap)
                for (int k = 0; k < depth_; k += kDepth)
                    for (int n = v * kLanes; n < std::min(v + widest, vectors) * kLanes; ++n)
                        for (int d = k; d < k + kDepth; ++d) {
                            const long at = (long(tap) * depth + d) * row + n;
                            *to++ = rounded<Number>(d < depth ? matrix[at] : 0.0f);
                        }
    }

    int taps() const { return taps_; }
    int depth() const { return depth_; }
    int columns() const { return columns_; }
    Right<Number> right() const { return {packed_.data(), true, 0, 0}; }

private:
    static constexpr int kDepth = Factors<Number>::kDepth;
    int taps_ = 0, depth_ = 0, columns_ = 0;
    AlignedArray<Number> packed_;
};

}  // namespace skelab
