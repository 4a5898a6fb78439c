"""Learn the tokenizer: a byte-level BPE in CLIP's format, from generated captions in English and Chinese."""

import json
import random

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTokenizer

from starter.captions import ADJECTIVES, PLACES, QUALITY, Scene, chinese_caption, english_caption
from starter.concepts import Concept
from starter.recolor import BACKGROUNDS, HUES
from starter.styles import STYLES
from starter.workspace import Workspace

VOCABULARY_SIZE = 4608
LENGTH = 32  # tokens a prompt, both ends included
START, END = "<|startoftext|>", "<|endoftext|>"
CLIP_WORDS = r"""'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""
OTHER_WORDS = """
a an the of in on at with and or to by from under over near very small big large tiny huge old young
happy sad angry portrait landscape photo picture image drawing sketch painting watercolor oil digital art
style render cartoon illustration realistic cinematic dramatic light lighting dark bright colorful color
background foreground day night morning evening winter summer spring autumn wearing hat glasses sitting
standing running flying eating sleeping smiling holding walking looking close wide
"""


def learn_tokenizer(work: Workspace) -> CLIPTokenizer:
    concepts, _, _ = work.load_pictures()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {symbol: index for index, symbol in enumerate([*alphabet, *(a + "</w>" for a in alphabet)])}
    merges = []
    for left, right in learn_merges(corpus(concepts), alphabet):
        if len(vocabulary) >= VOCABULARY_SIZE - 2:
            break
        if left in vocabulary and right in vocabulary:
            merges.append((left, right))
            vocabulary.setdefault(left + right, len(vocabulary))
    for special in (START, END):
        vocabulary[special] = len(vocabulary)
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=LENGTH)
    tokenizer.save_pretrained(work.tokenizer)
    print(f"{len(tokenizer)} tokens", flush=True)
    return tokenizer


def corpus(concepts: list[Concept]) -> list[str]:
    rng = random.Random(0)
    lines = [*OTHER_WORDS.split(), *ADJECTIVES, *PLACES, *QUALITY] * 3
    for concept in concepts:
        lines += [concept.name, *concept.synonyms, *concept.tags, *concept.chinese, *concept.chinese]
        for style in STYLES:
            for color in (None, None, rng.choice(list(HUES))):
                scene = Scene(concept, style, rng.choice(list(BACKGROUNDS)), color)
                lines.append(english_caption(scene, rng))
                lines.append(chinese_caption(scene, rng))
    return lines


def learn_merges(lines: list[str], alphabet: list[str]) -> list[tuple[str, str]]:
    """The same normalization and word splitting as CLIPTokenizer, so that the merges apply there."""
    bpe = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    bpe.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(CLIP_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE, initial_alphabet=alphabet, end_of_word_suffix="</w>", min_frequency=2
    )
    bpe.train_from_iterator(lines, trainer)
    merges = json.loads(bpe.to_str())["model"]["merges"]
    return [(m[0], m[1]) if isinstance(m, list) else tuple(m.split(" ")) for m in merges]
