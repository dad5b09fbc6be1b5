"""Transfer to COCO detection, segmentation and keypoints, with the encoder as backbone of torchvision's R-CNNs."""
