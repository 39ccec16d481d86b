"""What ProtoGCN computes in training alone, against its authors' code."""

import pytest
import torch
from golden_kit import golden_input, golden_model, read_arrays, read_json, relative_error

from skelab.models.families.protogcn import ClassContrast, ProtoGCNBackbone, ProtoGCNModel


@pytest.mark.parametrize("case", ["n1_t50", pytest.param("n2_t64", marks=pytest.mark.slow)])
def test_the_graph_is_rebuilt_from_prototypes_as_by_the_authors(case: str) -> None:
    model = golden_model("protogcn", torch.float64).eval()
    assert isinstance(model, ProtoGCNModel)
    assert isinstance(model.backbone, ProtoGCNBackbone)
    x = golden_input("protogcn", case, torch.float64)

    with torch.no_grad():
        _, relation = model.backbone.with_relation(model.input_norm(x))
        by_body = relation.view(x.shape[0], x.shape[4], *relation.shape[1:])
        graph = model.prototypes(by_body.mean(dim=1))

    expected = read_arrays("protogcn", f"io_{case}")["aux_eval_reconstructed_graph_f64"]
    assert relative_error(graph, expected) < 1e-9


def test_the_contrast_of_classes_and_its_centres_are_the_authors() -> None:
    arrays = {key: torch.tensor(value) for key, value in read_arrays("losses", "losses").items()}
    contrast = ClassContrast(9, 8, hidden=5).double()
    with torch.no_grad():
        contrast.project.weight.copy_(arrays["proto_fc_weight"])
        contrast.project.bias.copy_(arrays["proto_fc_bias"])
        contrast.centres.copy_(arrays["proto_centres_start"])

    for step, recorded in enumerate(read_json("losses", "losses")["protogcn"]):
        graph = arrays["proto_graph"][step].requires_grad_()
        contrast.zero_grad()
        loss = contrast(graph, arrays["proto_logits"][step], arrays["proto_labels"][step])
        torch.autograd.backward(loss)

        assert loss.item() == pytest.approx(recorded["loss"], rel=1e-6)
        centres = arrays[f"proto_centres_{step + 1}"]
        torch.testing.assert_close(contrast.centres, centres, rtol=1e-6, atol=1e-6)
        assert graph.grad is not None
        assert contrast.project.weight.grad is not None
        assert graph.grad.norm().item() == pytest.approx(recorded["grad_norm_graph"], rel=1e-6)
        weights = contrast.project.weight.grad.norm().item()
        assert weights == pytest.approx(recorded["grad_norm_fc_weight"], rel=1e-6)
