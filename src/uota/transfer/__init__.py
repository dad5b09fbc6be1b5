"""Transfer to detection, segmentation and keypoints on COCO: an encoder under torchvision's R-CNNs."""
