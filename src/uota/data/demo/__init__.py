"""Demo data: the embedded images of Fashion-MNIST, and scenes made of them."""
