"""DBS: a trigger of ten tokens is inverted for each class; a model where one works is backdoored.

Shen et al., Constrained Optimization with Dynamic Bound-scaling for Effective NLP Backdoor Defense
(ICML 2022, arXiv 2202.05749). Logits over the vocabulary, one row for each token of the trigger,
become a mixture of embeddings by a softmax at a temperature. Adam lowers the cross-entropy towards
the class. Every five epochs the temperature is halved where the loss is below a barrier; otherwise
it is raised, and noise is added for one epoch. Whenever the mixture is close to single tokens at a
loss below the barrier, they are kept and the barrier becomes half of that loss.

All settings are those of the released code (`trojai_r6/config/config.yaml`), the threshold of the
loss included. Adapted: of each class, texts of all others are moved at once, at most 100 of them
(theirs: 40 of the other class of two); the second place is the end of the text (theirs: position 50
of 100); and there is no penalty from a reference model, which a defender here does not have.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from undoor.classifier import Classifier
from undoor.clean_set import CleanSet
from undoor.errors import UndoorError
from undoor.inversion.embedded_tokens import changed_embeddings, token_embedding
from undoor.progress import Progress, silent
from undoor.triggers.insertion import END, START, inserted

STAGE = "inverting tokens"


@dataclass(frozen=True)
class Settings:
    """Settings of DBS.

    Attributes
    ----------
    tokens
        Of a trigger.
    texts
        At most so many of other classes.
    epochs, rate, drop_every, drop
        Of Adam, and how its rate falls.
    temperature, check_every, colder, hotter
        The first temperature, which is the highest, too; how often it changes, and by what factors.
    barrier, noise, patience, below
        The first loss below which a trigger works; how much noise is added; after how many raises
        of the temperature the barrier is doubled, and how far below the best loss it then stays.
    hard
        How far in all a mixture may be from single tokens.
    threshold
        A model with a trigger whose loss is below it is called backdoored.
    """

    tokens: int = 10
    texts: int = 100
    epochs: int = 200
    rate: float = 0.5
    drop_every: int = 50
    drop: float = 0.5
    temperature: float = 2.0
    check_every: int = 5
    colder: float = 2.0
    hotter: float = 5.0
    barrier: float = 0.1
    noise: float = 10.0
    patience: int = 5
    below: float = 1e-3
    hard: float = 1e-3
    threshold: float = 1e-3


@dataclass(frozen=True)
class Inverted:
    """The best trigger for a class at a place.

    Attributes
    ----------
    target, place
        The class, and where the tokens stand (`undoor.triggers.Insertion`).
    loss
        Cross-entropy towards the class; infinite where no mixture came close to single tokens.
    tokens
        Their ids; empty where there are none.
    """

    target: int
    place: float
    loss: float
    tokens: tuple[int, ...]


def dbs(
    classifier: Classifier,
    clean: CleanSet,
    settings: Settings | None = None,
    *,
    generator: torch.Generator,
    progress: Progress = silent,
) -> tuple[Inverted, ...]:
    """Return the best trigger of each class at each place.

    Raises
    ------
    UndoorError
        The model takes no texts, or has no embedding of tokens.
    """
    settings = settings or Settings()
    layer = token_embedding(classifier) if classifier.tokenizer else None
    if layer is None:
        raise UndoorError("DBS inverts tokens: expected a model of texts with an nn.Embedding")
    options = [*product(range(classifier.num_classes), (START, END))]
    found = []
    for done, (target, place) in enumerate(options):
        progress(STAGE, done, len(options))
        pool = (clean.labels != target).nonzero()[:, 0]
        rows = pool[torch.randperm(len(pool), generator=generator)[: settings.texts]]
        search = _Search(classifier, layer, clean.images[rows], target, place, settings)
        found.append(search.best(generator))
    return tuple(found)


def called(found: tuple[Inverted, ...], settings: Settings | None = None) -> int | None:
    """Return the class that a model is called backdoored for; None where it is not."""
    best = min(found, key=lambda each: each.loss)
    return best.target if best.loss < (settings or Settings()).threshold else None


class _Search:
    """The inversion of a trigger for one class at one place."""

    def __init__(
        self,
        classifier: Classifier,
        layer: nn.Embedding,
        x: Tensor,
        target: int,
        place: float,
        settings: Settings,
    ) -> None:
        tokenizer = classifier.tokenizer
        assert tokenizer is not None
        assert tokenizer.pad_id is not None
        # A number that no token has marks the places; any word stands there for the network.
        marks = -1.0 - torch.arange(settings.tokens, dtype=x.dtype)
        marked = inserted(x, marks[None], place, tokenizer.pad_id, tokenizer.around)[0]
        self.where = (marked[:, :, None] == marks).float()
        word = float(tokenizer.usable[0])
        self.ids = torch.where(marked < 0, torch.full_like(marked, word), marked)
        self.classifier, self.layer, self.settings = classifier, layer, settings
        self.weight = layer.weight.detach().float()[: tokenizer.size]
        self.target, self.place = target, place
        self.heat, self.barrier, self.raises = settings.temperature, settings.barrier, 0
        self.found = Inverted(target, place, float("inf"), ())

    def best(self, generator: torch.Generator) -> Inverted:
        """Return the trigger with the lowest loss."""
        settings = self.settings
        free = torch.zeros(settings.tokens, len(self.weight), requires_grad=True)
        optimizer = torch.optim.Adam([free], settings.rate)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, settings.drop_every, settings.drop)
        loss, scaling = float("inf"), False
        for epoch in range(settings.epochs):
            noise = self._scaled(loss, free, generator, scaling, epoch)
            shares = (free / self.heat + noise).softmax(1)
            out = self._loss(shares)
            (free.grad,) = torch.autograd.grad(out, free)
            optimizer.step()
            schedule.step()
            loss = float(out.detach())
            scaling = scaling or loss <= self.barrier
            self._keep(shares.detach(), loss)
        return self.found

    def _loss(self, shares: Tensor) -> Tensor:
        """Return the cross-entropy with mixtures [k, V] of tokens put in."""
        put = self.where @ (shares @ self.weight)
        inside = self.where.sum(2, keepdim=True)
        with changed_embeddings(self.layer, lambda z: z * (1 - inside) + put), torch.enable_grad():
            logits = self.classifier(self.ids).float()
        return F.cross_entropy(logits, torch.full((len(logits),), self.target))

    def _scaled(
        self, loss: float, free: Tensor, generator: torch.Generator, scaling: bool, epoch: int
    ) -> Tensor:
        """Change temperature and barrier where that is due, and return noise [k, V]."""
        settings = self.settings
        if self.raises >= settings.patience:
            self.raises = 0
            self.barrier = min(2 * self.barrier, self.found.loss - settings.below)
        if scaling and epoch % settings.check_every == 0:
            if loss < self.barrier:
                self.heat /= settings.colder
            else:
                self.raises += 1
                self.heat = min(self.heat * settings.hotter, settings.temperature)
                return settings.noise * torch.rand(free.shape, generator=generator)
        return torch.zeros(())

    def _keep(self, shares: Tensor, loss: float) -> None:
        """Keep the tokens where the mixture is nearly single ones and the loss is low enough."""
        top, tokens = shares.max(1)
        if len(top) - float(top.sum()) < self.settings.hard and loss <= self.barrier:
            hardened = tuple(tokens.tolist())
            self.found = Inverted(self.target, self.place, loss, hardened)
            self.barrier, self.raises = loss / 2, 0
