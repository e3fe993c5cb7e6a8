"""Turns texts into embeddings: a BERT of sentence-transformers, computed with numpy alone, in float32.

The model's folder comes from the runtime, which has fetched and verified it before this program starts. What its
`modules.json` and the configurations beside it say is done, and what they say and this program cannot do is
refused: it knows BERT with the exact GELU, the mean over the tokens, and normalisation.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy
from dataflow import Node
from safetensors.numpy import load_file
from tokenizers import Tokenizer

BATCH_MAX = 32  # texts that are computed together


class UnknownModel(Exception):
    """The model is none that this program can compute."""


class Embedder:
    """The model in a folder. Texts in, one row of float32 for each out."""

    def __init__(self, folder):
        folder = Path(folder)
        modules = {module["type"].rsplit(".", 1)[-1]: module["path"] for module in read(folder / "modules.json")}
        if not {"Transformer", "Pooling"} <= modules.keys() <= {"Transformer", "Pooling", "Normalize"}:
            raise UnknownModel(f"its modules are {', '.join(modules)}")
        config = read(folder / "config.json")
        for key, known in (("model_type", "bert"), ("hidden_act", "gelu"), ("position_embedding_type", "absolute")):
            if config.get(key, known) != known:
                raise UnknownModel(f"`{key}` is `{config[key]}`; known is `{known}`")
        pooling = read(folder / modules["Pooling"] / "config.json")
        modes = {key for key, value in pooling.items() if key.startswith("pooling_mode") and value}
        if modes != {"pooling_mode_mean_tokens"}:
            raise UnknownModel(f"its pooling is {', '.join(sorted(modes)) or 'none'}")

        self.normalizes = "Normalize" in modules
        self.layers = range(config["num_hidden_layers"])
        self.heads = config["num_attention_heads"]
        self.epsilon = config["layer_norm_eps"]
        self.weights = load_file(folder / "model.safetensors")
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(max_length=read(folder / "sentence_bert_config.json")["max_seq_length"])
        # To the longest text of a batch, not to the fixed length that `tokenizer.json` says.
        self.tokenizer.enable_padding(pad_id=config["pad_token_id"])

    def embed(self, texts):
        """The embeddings of `texts`, as an array of (texts, values)."""
        encodings = self.tokenizer.encode_batch(list(texts))
        tokens = numpy.array([encoding.ids for encoding in encodings])
        mask = numpy.array([encoding.attention_mask for encoding in encodings], dtype="float32")
        hidden = self.embeddings(tokens)
        # Added to the scores: whatever stands where nothing was written weighs nothing.
        unseen = ((1 - mask) * numpy.finfo("float32").min)[:, None, None, :]
        for layer in self.layers:
            hidden = self.layer(f"encoder.layer.{layer}", hidden, unseen)
        written = mask[:, :, None]
        pooled = (hidden * written).sum(axis=1) / numpy.maximum(written.sum(axis=1), 1e-9)
        if self.normalizes:
            pooled /= numpy.maximum(numpy.linalg.norm(pooled, axis=1, keepdims=True), 1e-12)
        return pooled

    def embeddings(self, tokens):
        """What the first layer sees: token, place and kind of text (always the first), summed and normalised."""
        summed = self.weights["embeddings.word_embeddings.weight"][tokens]
        summed += self.weights["embeddings.position_embeddings.weight"][: tokens.shape[1]]
        summed += self.weights["embeddings.token_type_embeddings.weight"][0]
        return self.normal("embeddings.LayerNorm", summed)

    def layer(self, name, hidden, unseen):
        """One layer: tokens look at each other, then each is thought about."""
        seen = self.dense(f"{name}.attention.output.dense", self.attention(f"{name}.attention.self", hidden, unseen))
        hidden = self.normal(f"{name}.attention.output.LayerNorm", seen + hidden)
        wide = gelu(self.dense(f"{name}.intermediate.dense", hidden))
        return self.normal(f"{name}.output.LayerNorm", self.dense(f"{name}.output.dense", wide) + hidden)

    def attention(self, name, hidden, unseen):
        """Each token's sight of the others, head by head."""
        texts, length, width = hidden.shape

        def heads(part):
            projected = self.dense(f"{name}.{part}", hidden)
            return projected.reshape(texts, length, self.heads, width // self.heads).swapaxes(1, 2)

        query, key, value = heads("query"), heads("key"), heads("value")
        scores = query @ key.swapaxes(2, 3) / numpy.float32((width // self.heads) ** 0.5) + unseen
        weights = numpy.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        return (weights @ value).swapaxes(1, 2).reshape(texts, length, width)

    def dense(self, name, values):
        return values @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def normal(self, name, values):
        centred = values - values.mean(axis=-1, keepdims=True)
        deviation = numpy.sqrt((centred * centred).mean(axis=-1, keepdims=True) + numpy.float32(self.epsilon))
        return centred / deviation * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]


def gelu(values):
    """x · Φ(x), with the error function of Abramowitz and Stegun 7.1.26, which is wrong by 1.5e-7 at most."""
    scaled = numpy.abs(values) * numpy.float32(2**-0.5)
    t = 1 / (1 + numpy.float32(0.3275911) * scaled)
    series = numpy.zeros_like(t)
    for factor in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series = (series + numpy.float32(factor)) * t
    error_function = numpy.copysign(1 - series * numpy.exp(-scaled * scaled), values)
    return values * (1 + error_function) / 2


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def waiting(node):
    """The texts that wait, as lists: what has come while the last ones were computed is computed together."""
    texts = []
    while True:
        try:
            event = node.recv(timeout=0 if texts else None)
        except TimeoutError:
            yield texts
            texts = []
            continue
        if event is None:
            break
        if event.type == "input":
            texts.append((event.id, event.bytes().decode("utf-8")))
        if len(texts) == BATCH_MAX:
            yield texts
            texts = []
    if texts:
        yield texts


def main():
    folder = os.environ.get("DATAFLOW_MODEL_MINILM")
    if folder is None:
        return "error: there is no model `minilm`: name it in `models`, in the dataflow and in this node"
    began = time.monotonic()
    embedder = Embedder(folder)
    print(f"read the model in {time.monotonic() - began:.1f} s")
    embedded = seconds = 0
    with Node() as node:
        for texts in waiting(node):
            began = time.monotonic()
            embeddings = embedder.embed(text for _, text in texts)
            seconds += time.monotonic() - began
            embedded += len(texts)
            for (kind, text), embedding in zip(texts, embeddings):
                node.send("embedding", embedding, {"kind": kind, "text": text})
    print(f"embedded {embedded} texts in {seconds:.2f} s")


if __name__ == "__main__":
    sys.exit(main())
