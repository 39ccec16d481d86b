// The graph convolution of CTR-GCN, whose topology is refined for each channel by what a clip shows.
//
//   relation[i][u][v] = tanh(query_i(mean over time)[u] - key_i(mean over time)[v])      R numbers
//   topology[i][u][v] = shared_i[u][v] + strength * refine_i(relation[i][u][v])   one of each channel
//   y[t][u] = relu(norm(sum over subsets i and joints v of topology[i][u][v] * value_i(x)[t][v])
//                  + residual(x)[t][u])
//
// A vector of channels at a time: their topologies (3 x V x V vectors) are made once and serve all
// frames; the values of a few frames are made and mixed at once. Neither leaves the cache.
#pragma once

#include "steps.h"

namespace skelab {

// Vectors of channels whose topologies are made at once: with few registers, one alone would wait
// for what it loads.
constexpr int kTogether = kRegisters == 32 ? 1 : 2;

constexpr int kMixedFrames = 4, kMixedJoints = kRegisters == 32 ? 5 : 3;  // a tile of the mixture

// The mixture of one vector of channels, a few frames and joints at once.
template <class Number>
struct Mixture {
    int subsets;
    long joints;
    const float* topology;  // subset, new joint, joint: a vector each,
    long topology_row;      // so far apart
    const float* values;    // frame, joint: `value_row` numbers, a vector a subset
    long value_row;
    Vector bias;
    const Number* residual;  // null: none
    long residual_row;
    const float* projected;  // null: none. A residual of the layout of `values`
    Number* y;
    long y_row;
};

template <int kFrames, int kJoints, class Number>
void mix_tile(const Mixture<Number>& m, long frame, long joint) {
    const long joints = m.joints, row = m.value_row, pair = m.topology_row;
    Vector sums[kFrames][kJoints];
    SKELAB_UNROLL for (int t = 0; t < kFrames; ++t)
        SKELAB_UNROLL for (int u = 0; u < kJoints; ++u) sums[t][u] = m.bias;
    for (int i = 0; i < m.subsets; ++i) {
        const float* topology = m.topology + (i * joints + joint) * joints * pair;
        const float* values = m.values + frame * joints * row + i * kLanes;
        for (long v = 0; v < joints; ++v, topology += pair, values += row) {
            Vector weights[kJoints];
            SKELAB_UNROLL for (int u = 0; u < kJoints; ++u)
                weights[u] = load(topology + u * joints * pair);
            SKELAB_UNROLL for (int t = 0; t < kFrames; ++t) {
                const Vector value = load(values + t * joints * row);
                SKELAB_UNROLL for (int u = 0; u < kJoints; ++u) sums[t][u] += weights[u] * value;
            }
        }
    }
    SKELAB_UNROLL for (int t = 0; t < kFrames; ++t) {
        SKELAB_UNROLL for (int u = 0; u < kJoints; ++u) {
            const long at = (frame + t) * joints + joint + u;
            Vector sum = sums[t][u];
            if (m.residual) sum += load(m.residual + at * m.residual_row);
            if (m.projected) sum += load(m.projected + at * row);
            store(m.y + at * m.y_row, rectified(sum));
        }
    }
}

template <class Number>
using MixTile = void (*)(const Mixture<Number>&, long, long);

template <class Number, int... kSizes>
constexpr std::array<MixTile<Number>, sizeof...(kSizes)> mix_tiles(
    std::integer_sequence<int, kSizes...>) {
    return {mix_tile<kSizes / kMixedJoints + 1, kSizes % kMixedJoints + 1, Number>...};
}

template <class Number>
void mix(const Mixture<Number>& m, long frames) {
    static constexpr auto kTiles =
        mix_tiles<Number>(std::make_integer_sequence<int, kMixedFrames * kMixedJoints>());
    const long across = (m.joints + kMixedJoints - 1) / kMixedJoints;
    for (long t = 0, height; t < frames; t += height) {
        height = std::min(long(kMixedFrames), frames - t);
        for (long u = 0, left = across, width; left > 0; u += width, --left) {
            width = (m.joints - u) / left;
            kTiles[(height - 1) * kMixedJoints + width - 1](m, t, u);
        }
    }
}

// What a channel graph is made of, as Python folds it; one entry of each a subset where not said.
template <class Number>
struct ChannelGraphWeights {
    Weights<float> relations;       // C x (queries of all subsets, then keys), R lanes each
    AlignedArray<float> relation_bias;
    std::vector<Weights<Number>> values;  // of each vector of channels: C x (subsets, projection)
    AlignedArray<float> value_bias;
    std::vector<Weights<float>> refine;  // of each `kTogether` vectors and subset: R + 1 numbers
    AlignedArray<float> refine_bias;     // subset, lane
    AlignedArray<float> topology;  // subset, new joint, joint
    AlignedArray<float> bias;
};

template <class Number>
class ChannelGraph : public Step<Number> {
public:
    ChannelGraph(Program<Number>& program, int from, int to, int subsets, int relation_channels,
                 bool identity, ChannelGraphWeights<Number> weights)
        : from_(from), to_(to), subsets_(subsets), relation_(relation_channels),
          identity_(identity), from_lanes_(program.spec(from).lanes), w_(std::move(weights)) {
        const TensorSpec &in = program.spec(from), &out = program.spec(to);
        const size_t vectors = size_t(out.lanes / kLanes), joints = size_t(program.joints());
        lanes_ = w_.values.empty() ? 0 : w_.values[0].columns();
        if (in.stride != out.stride || (identity && in.lanes != out.lanes) || subsets < 1 ||
            w_.values.size() != vectors || w_.refine.size() != (vectors + kTogether - 1) / kTogether * subsets ||
            (lanes_ != subsets * kLanes && lanes_ != (subsets + 1) * kLanes) ||
            w_.relations.columns() < 2 * subsets * relation_ || in.lanes < w_.relations.depth() ||
            w_.value_bias.size() != vectors * lanes_ || w_.bias.size() != size_t(out.lanes) ||
            w_.refine_bias.size() != vectors * subsets * kLanes ||
            w_.topology.size() != subsets * joints * joints)
            throw std::invalid_argument("channel graph: weights that do not fit its tensors");
    }

    size_t scratch(long joints, long) const override {
        return size_t(layout(joints).end);
    }

    void run(const Body<Number>& body) const override {
        const Layout at = layout(body.joints());
        relate(body, at);
        for (int block = 0; block < body.lanes(to_) / kLanes; ++block) {
            if (block % kTogether == 0) make_topology(body, at, block);
            mix_frames(body, at, block);
        }
    }

private:
    static constexpr long kFrames = 2 * kMixedFrames;  // whose values are made at once

    // Where in the scratch what lies, in floats.
    struct Layout {
        long mean, related, relations, topology, values, end;
    };

    Layout layout(long joints) const {
        const long pairs = subsets_ * joints * joints;
        Layout at{};
        at.related = at.mean + joints * from_lanes_;
        at.relations = at.related + joints * w_.relations.columns();
        at.topology = at.relations + pairs * (relation_ + 1) + kLanes;
        at.values = at.topology + pairs * kLanes * kTogether;
        at.end = at.values + kFrames * joints * lanes_;
        return at;
    }

    // relations[i][u][v]: the R numbers, then the shared topology.
    void relate(const Body<Number>& body, const Layout& at) const {
        const long joints = body.joints(), row = relation_ + 1, columns = w_.relations.columns();
        float *mean = body.scratch + at.mean, *related = body.scratch + at.related;
        float* relations = body.scratch + at.relations;
        mean_of_rows(body[from_], body.frames(from_), body.frame_size(from_), mean);
        Product<float, float> p{};
        p.rows = joints, p.columns = int(columns);
        p.a = mean, p.a_row = body.lanes(from_), p.depth = w_.relations.depth(), p.taps = 1;
        p.b = w_.relations.right(), p.bias = w_.relation_bias.data();
        p.c = related, p.c_row = columns;
        multiply(p);
        float* to = relations;
        for (int i = 0; i < subsets_; ++i)
            for (long u = 0; u < joints; ++u)
                for (long v = 0; v < joints; ++v, to += row) {
                    const float* query = related + u * columns + i * relation_;
                    const float* key = related + v * columns + (subsets_ + i) * relation_;
                    for (int r = 0; r < relation_; ++r) to[r] = query[r] - key[r];
                }
        for (float* x = relations; x < to; x += kLanes) store(x, tanh(load(x)));
        const float* shared = w_.topology.data();
        for (float* x = relations + relation_; x < to; x += row) *x = *shared++;
    }

    // topology[i][u][v]: of the vectors of channels from `block` on, as many as are made at once
    void make_topology(const Body<Number>& body, const Layout& at, int block) const {
        const long pairs = body.joints() * body.joints(), row = relation_ + 1;
        for (int i = 0; i < subsets_; ++i) {
            const Weights<float>& refine = w_.refine[size_t(block / kTogether * subsets_ + i)];
            Product<float, float> p{};
            p.rows = pairs, p.columns = refine.columns();
            p.a = body.scratch + at.relations + i * pairs * row, p.a_row = row;
            p.depth = int(row), p.taps = 1;
            p.b = refine.right();
            p.bias = w_.refine_bias.data() + i * body.lanes(to_) + block * kLanes;
            p.c_row = kTogether * kLanes;
            p.c = body.scratch + at.topology + i * pairs * p.c_row;
            multiply(p);
        }
    }

    void mix_frames(const Body<Number>& body, const Layout& at, int block) const {
        const long joints = body.joints(), frames = body.frames(from_);
        const Weights<Number>& weights = w_.values[size_t(block)];
        float* values = body.scratch + at.values;
        Product<Number, float> p{};
        p.columns = lanes_;
        p.a_row = body.lanes(from_), p.depth = weights.depth(), p.taps = 1;
        p.b = weights.right(), p.bias = w_.value_bias.data() + block * lanes_;
        p.c = values, p.c_row = lanes_;
        Mixture<Number> m{};
        m.subsets = subsets_, m.joints = joints;
        m.topology = body.scratch + at.topology + block % kTogether * kLanes;
        m.topology_row = kTogether * kLanes;
        m.values = values, m.value_row = lanes_;
        m.bias = load(w_.bias.data() + block * kLanes);
        m.residual_row = body.lanes(from_);
        m.projected = lanes_ > subsets_ * kLanes ? values + subsets_ * kLanes : nullptr;
        m.y_row = body.lanes(to_);
        for (long t = 0; t < frames; t += kFrames) {
            const long some = std::min(kFrames, frames - t);
            p.rows = some * joints;
            p.a = body[from_] + t * body.frame_size(from_);
            multiply(p);
            m.y = body[to_] + t * body.frame_size(to_) + block * kLanes;
            m.residual = identity_ ? body[from_] + t * body.frame_size(from_) + block * kLanes : nullptr;
            mix(m, some);
        }
    }

    int from_, to_, subsets_, relation_;
    bool identity_;
    int from_lanes_, lanes_;
    ChannelGraphWeights<Number> w_;
};

}  // namespace skelab
